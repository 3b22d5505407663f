package nodeipc

import (
	"maps"
	"sync"
)

// listeners remembers the keys that the worker uses: it would crash on a second one of the same name.
type listeners struct {
	mu    sync.Mutex
	byKey map[string]Query
}

// add reports false if key is in use.
func (l *listeners) add(key string, q Query) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, used := l.byKey[key]; used || key == "" {
		return false
	}
	if l.byKey == nil {
		l.byKey = make(map[string]Query)
	}
	q.Data = nil // as large as the worker likes, and of no use here
	l.byKey[key] = q
	return true
}

func (l *listeners) remove(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byKey, key)
}

// drop forgets the listener whose handle is lost.
func (l *listeners) drop(ref HandleAck) {
	if ref.Seq == 0 && !ref.Server {
		l.remove(ref.Key)
	}
}

// answering returns the key of the listener that a listening record is about.
func (l *listeners) answering(listening Query) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, q := range l.byKey {
		if q.answers(listening) {
			return key
		}
	}
	return ""
}

func (l *listeners) all() map[string]Query {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.byKey)
}
