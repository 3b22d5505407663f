package master

import (
	"time"

	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
)

const (
	lasting = time.Second // a program that closes a listener sooner was trying a port
	reopens = time.Second // and one that listens again by then was not leaving
)

// closed notes that a worker has closed a listener. With its last one it leaves, though Node's cluster.worker.disconnect says so only when
// the last connection has ended, which may be much later, and process.exit behind server.close never does.
func (m *Master) closed(w *worker, key string) {
	delete(w.keys, key)
	m.attend(w.slot)
	if len(w.keys) == 0 && time.Since(w.listens) >= lasting {
		m.after(reopens, func() { m.servesNobody(w) })
	}
}

// servesNobody has a worker replaced that closed its last listener and did not think better of it.
func (m *Master) servesNobody(w *worker) {
	k := m.state.Worker(w.id)
	if m.workers[w.id] != w || len(w.keys) > 0 || k == nil || k.Phase != lifecycle.Serving {
		return
	}
	m.log.Info("worker closed its last listener", logs.KeySlot, w.slot, logs.KeyWorker, w.id)
	m.dying(w)
}
