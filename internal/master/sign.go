package master

import (
	"time"

	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/pulse"
)

// askSign asks a worker for a sign of life, or whether it takes connections again: one that may be blocked, before it is given a connection; and one that is, because nothing else
// would tell that it is so no more, where new connections are led past its slot.
func (m *Master) askSign(w *worker) {
	if w.conn == nil || w.sign != 0 {
		return
	}
	seq, err := w.conn.Ping(w.blocked)
	if err != nil {
		m.log.Debug("worker not asked for a sign of life", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyError, err)
		return
	}
	w.sign, w.signAt = seq, time.Now()
}

// alive lets the worker have connections again, of its own and of others. Whether it takes its own is judged anew.
func (m *Master) alive(w *worker) {
	w.sign = 0
	m.setSilent(w, 0)
	if w.suspected == lifecycle.SensePing {
		m.suspect(w, "")
	}
	if w.blocked {
		m.forgive(w)
	}
	m.retryRescues()
}

func (m *Master) forgive(w *worker) {
	for _, l := range m.listeners {
		if !l.shared && !l.closed && w.holds(l) && m.rescue.watch != nil {
			m.rescue.watch.Forgive(pulse.Key{Listener: l.index, Slot: w.slot})
		}
	}
}
