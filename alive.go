package muster

import (
	"sync"
	"time"
)

// lookAgain is how often a listener is looked at again from which nobody takes connections.
const lookAgain = 50 * time.Millisecond

// vitality is what the program says of its own life.
type vitality struct {
	mu     sync.Mutex // held while a check runs: one at a time
	checks []func()
}

func (v *vitality) add(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.checks = append(v.checks, f)
}

// await returns when every check has.
func (v *vitality) await() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range v.checks {
		f()
	}
}

// awaitAlive returns when the program takes the connections that come, as far as that can be told, and all its checks have returned. Before, the
// worker gives no sign of life. With sure, the master has seen that connections are not taken.
func (w *worker) awaitAlive(sure bool) {
	for _, l := range w.allListeners() {
		l.awaitAccepting(sure)
	}
	w.vital.await()
}

func (w *worker) allListeners() []*listener {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*listener
	for l := range w.listeners {
		all = append(all, l)
	}
	return all
}

// awaitAccepting returns when the program waits in Accept, or has called it since it was looked at last, or need not: it has not begun, the listener
// has stopped, or no connection waits.
func (l *listener) awaitAccepting(sure bool) {
	for !l.accepting(sure) {
		t := time.NewTimer(lookAgain)
		select {
		case <-t.C:
		case <-l.stopping:
			t.Stop()
		}
	}
}

func (l *listener) accepting(sure bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	moved := l.calls != l.seen
	l.seen = l.calls
	return l.stopped || l.calls == 0 || l.waiting > 0 || moved || !sure && !l.left()
}

// left tells whether a connection waits that nobody takes.
func (l *listener) left() bool {
	if len(l.handed) > 0 {
		return true
	}
	for _, s := range l.sockets {
		if connectionPending(s.acceptor) {
			return true
		}
	}
	return false
}
