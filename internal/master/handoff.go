package master

import (
	"context"
	"errors"
	"log/slog"
	"syscall"
	"time"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/nodeipc"
	"github.com/musterd/muster/internal/notify"
)

// What programs say on Node's channel.
const (
	messageReady = "ready"   // PM2's word for a program that decides itself when it serves
	actSuicide   = "suicide" // {"act":"suicide"}: the worker is dying
)

// handOff gives a worker that runs its sockets, as far as that is the master's move.
func (m *Master) handOff(w *worker) {
	if m.cfg.Handoff == app.HandoffMessage {
		m.sendServers(w)
	}
	m.senseReady(w)
}

// sendServers sends each listener as a net.Server handle: the first with the app's message, the others with their names.
func (m *Master) sendServers(w *worker) {
	message := m.of(w).App.HandoffMessage
	for _, l := range m.listeners {
		if !l.stream() {
			continue
		}
		if err := w.conn.SendServer(message, l.socket(w.slot).FD()); err != nil {
			m.log.Error("listener not sent", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyListener, l.Name, keyError, err)
			continue
		}
		w.unacked++
		message = l.Name
	}
}

func (m *Master) channelEvent(w *worker, event nodeipc.Event) {
	if m.workers[w.id] == nil {
		return
	}
	switch e := event.(type) {
	case nodeipc.Online:
		w.online = true
	case nodeipc.Query:
		m.asked(w, e)
	case nodeipc.Listening:
		m.listening(w, e)
	case nodeipc.Closed:
		m.closed(w, e.Key)
		m.noteProgress()
	case nodeipc.ExitedAfterDisconnect:
		m.leaves(w, e)
	case nodeipc.Accepted:
		m.answered(w, e.Seq, e.OK)
	case nodeipc.HandleAck:
		m.handleTaken(w, e)
	case nodeipc.HandleLost:
		m.handleLost(w, e)
	case nodeipc.Connections:
		m.accepted(w, e.Count)
	case nodeipc.Message:
		m.message(w, e)
	}
}

func (m *Master) message(w *worker, msg nodeipc.Message) {
	if text, ok := msg.Text(); ok && text == messageReady {
		m.sensed(w, app.ReadyMessage)
		return
	}
	m.dying(w)
}

// dying is a worker's own word. From one that was told to go it is no news.
func (m *Master) dying(w *worker) { m.step(lifecycle.Dying{Worker: w.id}) }

// asked answers a program that wants to listen. A spare's question waits until it has a slot.
func (m *Master) asked(w *worker, q nodeipc.Query) {
	w.asked, m.asks = true, true
	if w.slot == lifecycle.NoSlot {
		w.waiting = append(w.waiting, q)
		m.becomeReady(w)
		return
	}
	m.answer(w, q)
}

func (m *Master) answer(w *worker, q nodeipc.Query) {
	l, err := m.listenerFor(q)
	if err == nil && w.holds(l) {
		err = syscall.EADDRINUSE // as without a master: one server per address and process
	}
	if err != nil {
		m.refuse(w, q, err)
		return
	}
	if l.data == nil {
		l.data = q.Data
	}
	if err := w.conn.AnswerHandle(q, q.Key(), l.data, l.socket(w.slot).FD()); err != nil {
		m.refuse(w, q, err)
		return
	}
	if len(w.keys) == 0 {
		w.listens = time.Now()
	}
	w.keys[q.Key()], w.asking[q.Key()] = l, q
}

func (w *worker) holds(l *listener) bool {
	for _, held := range w.keys {
		if held == l {
			return true
		}
	}
	return false
}

// refuse lets the program's listen fail as it would without a master.
func (m *Master) refuse(w *worker, q nodeipc.Query, err error) {
	errno := syscall.EINVAL
	if errors.Is(err, errBadFD) {
		errno = syscall.EBADF
	}
	errors.As(err, &errno)
	m.log.Warn("listener refused", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyError, err)
	if err := w.conn.AnswerError(q, q.Key(), errno); err != nil {
		m.log.Debug("refusal not sent", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyError, err)
	}
}

func (m *Master) listening(w *worker, e nodeipc.Listening) {
	m.sensed(w, app.ReadyAuto)
	if l := w.keys[e.Listener]; l != nil {
		m.attend(w.slot)
	}
}

// leaves lets a cluster worker go that wants to: the replacement starts now.
func (m *Master) leaves(w *worker, e nodeipc.ExitedAfterDisconnect) {
	m.dying(w)
	if err := w.conn.AnswerExit(e.Seq); err != nil {
		m.log.Debug("leave not answered", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyError, err)
	}
}

func (m *Master) handleTaken(w *worker, e nodeipc.HandleAck) {
	if !e.Server {
		delete(w.asking, e.Key)
		return
	}
	w.unacked--
	if w.unacked == 0 {
		m.sensed(w, app.ReadyAuto)
	}
}

func (m *Master) handleLost(w *worker, e nodeipc.HandleLost) {
	if e.Seq != 0 {
		m.answered(w, e.Seq, false)
		return
	}
	if q, ok := w.asking[e.Key]; ok { // its listen is still pending
		delete(w.asking, e.Key)
		delete(w.keys, e.Key)
		m.refuse(w, q, syscall.EMFILE)
	}
	if k := m.state.Worker(w.id); k != nil && !k.Leaving() {
		m.log.Warn("worker took no socket", logs.KeySlot, w.slot, logs.KeyWorker, w.id)
	}
}

// channelGone asks a worker that drained by message, and has closed its channel when the last connection was gone, to end what it still runs.
func (m *Master) channelGone(w *worker) {
	if k := m.state.Worker(w.id); k != nil && k.Leaving() {
		m.after(farewell, func() {
			if m.workers[w.id] == w {
				w.terminate(m.stopSignal(w))
			}
		})
	}
}

func (m *Master) notified(w *worker, msg notify.Message) {
	if m.workers[w.id] == nil {
		return
	}
	if msg.HasStatus {
		m.said(w, msg.Status)
	}
	if msg.ExtendTimeout > 0 {
		m.step(lifecycle.Extend{Worker: w.id, For: msg.ExtendTimeout})
	}
	if msg.Watchdog != "" {
		m.beat(w, msg.Watchdog == notify.WatchdogTrigger)
	}
	m.counted(w, msg.Unknown)
	if msg.Ready {
		m.saysReady(w)
	}
	if msg.Stopping {
		m.dying(w)
	}
}

// said takes note of what a worker says of itself. The log shows it once a second at most: a progress bar must not fill it.
func (m *Master) said(w *worker, status string) {
	level := slog.LevelDebug
	if status != w.status && time.Since(w.statusShown) > time.Second {
		w.statusShown, level = time.Now(), slog.LevelInfo
	}
	w.status = status
	m.log.Log(context.Background(), level, "worker status", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyStatus, status)
}
