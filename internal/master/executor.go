package master

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
)

// farewell is the time between the end of a worker's channel, which it closes when its last connection is gone, and the stop signal for what
// it still runs.
const farewell = time.Second

// carryOut does what the core decided. What comes of it returns as an event.
func (m *Master) carryOut(effect lifecycle.Effect) {
	switch e := effect.(type) {
	case lifecycle.Spawn:
		m.spawn(e)
	case lifecycle.Promote:
		m.with(e.Worker, func(w *worker) { m.promote(w, e.Slot) })
	case lifecycle.Drain:
		m.with(e.Worker, m.drain)
	case lifecycle.Terminate:
		m.with(e.Worker, func(w *worker) { w.terminate(m.stopSignal(w)) })
	case lifecycle.Examine:
		m.with(e.Worker, func(w *worker) { m.examine(w, e.Sense) })
	case lifecycle.Inspect:
		m.with(e.Worker, m.inspect)
	case lifecycle.Kill:
		m.with(e.Worker, m.kill)
	case lifecycle.OpenSlot:
		m.openSlot(e.Slot)
	case lifecycle.CloseSlot: // its sockets are parked: the rescue empties them until the slot is wanted again
		m.attend(e.Slot)
	case lifecycle.Announce:
		m.announce(e)
	default:
		panic(fmt.Sprintf("master: unknown effect %T", effect))
	}
}

func (m *Master) with(id lifecycle.WorkerID, do func(*worker)) {
	if w := m.workers[id]; w != nil {
		do(w)
	}
}

// drain asks the worker to stop accepting, to finish and to exit: by message where it understands one, else by the stop signal.
func (m *Master) drain(w *worker) {
	defer m.attend(w.slot)
	w.drained = true
	if text := m.of(w).App.StopMessage; text != "" && w.conn != nil {
		if w.conn.Send(text) == nil {
			return
		}
	}
	if m.cfg.speaksNode() && w.online && w.conn != nil && w.conn.Disconnect() == nil {
		return
	}
	w.terminate(m.stopSignal(w))
}

func (m *Master) kill(w *worker) {
	m.log.Warn("worker killed", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyReason, string(m.state.Worker(w.id).Reason))
	m.publish(m.eventOf(api.EventKilled, w, string(m.state.Worker(w.id).Reason)))
	w.kill()
}

// inspect asks a hung worker for its stacks, which it writes to stderr. One that is stopped goes on only to do that. Node has no such signal: it is
// asked over its inspector.
func (m *Master) inspect(w *worker) {
	sig := unix.SIGABRT
	switch m.of(w).Kind {
	case KindNode:
		m.inspectNode(w)
		return
	case KindSDK:
		sig = unix.SIGQUIT
	}
	w.stopSent = true
	_ = w.process.Signal(sig) // it may have exited meanwhile
	_ = w.process.Signal(unix.SIGCONT)
}

// stopSignal is what asks the worker to finish.
func (m *Master) stopSignal(w *worker) unix.Signal {
	if sig := unix.SignalNum(m.of(w).App.Signal); sig != 0 {
		return sig
	}
	return unix.SIGTERM
}

// promote gives a spare its slot: the questions that it asked meanwhile are answered now.
func (m *Master) promote(w *worker, slot int) {
	w.slot, w.ready = slot, false
	m.settle(w)
	waiting := w.waiting
	w.waiting = nil
	for _, q := range waiting {
		m.answer(w, q)
	}
}

// effectText is an effect as the trace shows it: "Spawn{Worker:3 Slot:0 Gen:1}".
func effectText(e lifecycle.Effect) string {
	return strings.TrimPrefix(fmt.Sprintf("%T%+v", e, e), "lifecycle.")
}

// ready tells the core, once per slot that the worker gets.
func (m *Master) becomeReady(w *worker) {
	if w.ready || m.prove(w) {
		return
	}
	w.ready = true
	if w.cancel != nil {
		w.cancel()
	}
	m.step(lifecycle.Ready{Worker: w.id})
	m.guardCanary(w)
	m.watchMemory(w)
	m.attend(w.slot)
}

// sensed is told that one sense says the worker serves. The app decides which sense counts.
func (m *Master) sensed(w *worker, by app.ReadyKind) {
	kind := m.of(w).App.ReadyBy.Kind
	if kind == by || kind == app.ReadyAuto || kind == "" {
		m.becomeReady(w)
	}
}
