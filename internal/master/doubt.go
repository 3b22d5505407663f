package master

import (
	"time"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/sock"
)

// What a master had read from a worker and not acted upon is lost when it is killed: a question for a socket, or the word that the worker is
// ready. Nothing can bring it back: such a worker sleeps, and waits for an answer or to be believed.

// doubtWindow is for how long a worker has to sleep before that is why.
const doubtWindow = time.Second

// doubt looks after a worker that was not ready when the former master was killed.
func (m *Master) doubt(w *worker) {
	k := m.state.Worker(w.id)
	if w.ready || w.process == nil || k == nil || k.Leaving() || m.workers[w.id] != w {
		return
	}
	switch kind := m.of(w).App.ReadyBy.Kind; {
	case kind == app.ReadyMessage, kind == app.ReadyNotify: // the word counts, and not what can be seen
	case !m.cfg.hasChannel():
		return
	case k.Slot != lifecycle.NoSlot && m.probed() != nil:
		m.probe(w)
	}
	m.observe(w, doubtWindow, func(seen look) { m.doubted(w, seen) })
}

// doubted believes a worker that sleeps on a listening socket, and starts one anew that sleeps without.
func (m *Master) doubted(w *worker, seen look) {
	k := m.state.Worker(w.id)
	switch {
	case m.workers[w.id] != w || w.ready || k == nil || k.Leaving():
	case seen.unseen || !seen.sleeps() || seen.after.Tracer != 0 || seen.after.Stopped():
		m.doubt(w)
	case m.waits(w), m.cfg.speaksNode() && m.bindsItself()(proc.Tree(w.handle.PID)):
		m.becomeReady(w)
	case m.cfg.hasChannel() || len(m.listeners) > 0:
		m.log.Warn("worker is started anew: what it said was lost with the former master", logs.KeySlot, w.slot, logs.KeyWorker, w.id, logs.KeyPID, w.handle.PID)
		w.lose()
	}
}

// waits tells whether the worker waits for connections on a socket of the master's.
func (m *Master) waits(w *worker) bool {
	for _, l := range m.listeners {
		if w.slot == lifecycle.NoSlot || l.closed {
			continue
		}
		if inode, err := l.socket(w.slot).Inode(); err == nil {
			if waits, err := sock.Waiting(inode, proc.Tree(w.handle.PID)); err == nil && waits {
				return true
			}
		}
	}
	return false
}
