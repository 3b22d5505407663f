package daemon

import (
	"sync"
	"time"

	"github.com/musterd/muster/api"
)

// Bounds of what is kept for those who watch.
const (
	recentEvents = 2000 // that a client may have missed
	watcherRoom  = 1024 // that a client may be behind
)

// feed passes the events of all masters on to those who watch, under revisions of its own.
type feed struct {
	mu       sync.Mutex
	revision uint64
	recent   []api.Event // the last ones, oldest first
	watchers map[chan api.Event]struct{}
	closed   bool
}

func newFeed() *feed {
	return &feed{
		watchers: map[chan api.Event]struct{}{},
		// Revisions of an earlier daemon must not be taken for this one's.
		revision: uint64(time.Now().UnixNano()),
	}
}

func (f *feed) publish(e api.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision++
	e.Revision = f.revision
	if len(f.recent) >= 2*recentEvents {
		f.recent = append([]api.Event(nil), f.recent[recentEvents:]...)
	}
	f.recent = append(f.recent, e)
	for w := range f.watchers {
		select {
		case w <- e:
		default: // too slow: it asks again
			delete(f.watchers, w)
			close(w)
		}
	}
}

// watch returns what came after since, or, where that is not known, what snapshot makes of the present; and the events from then on.
func (f *feed) watch(since uint64, known bool, snapshot func() []api.Event) (first []api.Event, events chan api.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if behind := f.revision - since; known && since <= f.revision && behind <= uint64(len(f.recent)) {
		first = append(first, f.recent[uint64(len(f.recent))-behind:]...)
	} else {
		first = snapshot()
		for i := range first {
			first[i].Revision = f.revision
		}
	}
	events = make(chan api.Event, watcherRoom)
	if f.closed {
		close(events)
	} else {
		f.watchers[events] = struct{}{}
	}
	return first, events
}

func (f *feed) unwatch(events chan api.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.watchers[events]; there {
		delete(f.watchers, events)
		close(events)
	}
}

// close lets everybody go who watches.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for w := range f.watchers {
		delete(f.watchers, w)
		close(w)
	}
}
