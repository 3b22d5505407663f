package master

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/notify"
)

// upstream is the manager above the master, as systemd: it is told by the notify protocol how the app stands, and, if it waits for that, that
// the loop lives.
type upstream struct {
	path string        // of its notify socket; empty without one
	beat time.Duration // between two signs of life; 0: nobody waits for them
	told standing
	log  *slog.Logger
}

// standing is what a manager above wants to know of the app.
type standing struct {
	ready, reloading, stopping bool
	status                     string
}

func newUpstream(log *slog.Logger) upstream {
	u := upstream{path: os.Getenv("NOTIFY_SOCKET"), log: log}
	if who := os.Getenv("WATCHDOG_PID"); who == "" || who == strconv.Itoa(os.Getpid()) {
		if usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
			u.beat = time.Duration(usec) * time.Microsecond / 2
		}
	}
	return u
}

// since is the news in a standing after the last one that was told; wait is the time that a stop may need.
func (s standing) since(told standing, wait time.Duration) notify.Message {
	msg := notify.Message{}
	if s.status != told.status {
		msg.Status, msg.HasStatus = s.status, true
	}
	switch {
	case s.stopping:
		if !told.stopping {
			msg.Stopping, msg.ExtendTimeout = true, wait
		}
	case s.ready && !told.ready: // a reload that began under a former master is not told of
		msg.Ready = true
	case s.reloading:
		if !told.reloading {
			msg.Reloading, msg.MonotonicUSec = true, notify.Monotonic()
		}
	case told.reloading:
		msg.Ready = true
	}
	return msg
}

// tellAbove tells the manager above what is new.
func (m *Master) tellAbove() {
	if m.above.path == "" {
		return
	}
	now := m.standing()
	if now == m.above.told {
		return
	}
	msg := now.since(m.above.told, m.cfg.App.StopTimeout.Duration()+stopMargin)
	m.above.told = now
	m.above.send(msg)
}

// stopMargin is what a stop takes beyond the time of its workers.
const stopMargin = 5 * time.Second

func (m *Master) standing() standing {
	state := m.appState()
	s := standing{
		ready:     m.control.memory.Served,
		reloading: m.control.memory.Served && m.running(api.OperationReload, api.OperationRollback) != nil,
		stopping:  state == api.AppStopping,
		status:    string(state),
	}
	switch {
	case s.stopping:
		s.status = fmt.Sprintf("stopping, workers left: %d", len(m.state.Workers))
	case s.reloading:
		s.status = fmt.Sprintf("reloading, %d of %d slots served", m.serving(), m.state.Want)
	case !m.cfg.App.Job:
		s.status = fmt.Sprintf("%s, %d of %d slots served", state, m.serving(), m.state.Want)
	}
	return s
}

// beatAbove says that the loop lives, now and as long as it does.
func (m *Master) beatAbove() {
	if m.above.path == "" || m.above.beat == 0 {
		return
	}
	m.above.send(notify.Message{Watchdog: notify.WatchdogPing})
	m.after(m.above.beat, m.beatAbove)
}

func (u upstream) send(m notify.Message) {
	if err := notify.Send(u.path, m); err != nil {
		u.log.Warn("manager above not notified", keyError, err)
	}
}
