package master

import (
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/proc"
)

// exitNote is what an exit report says, beyond what the core decides.
type exitNote struct {
	worker lifecycle.WorkerID
	gen    lifecycle.Generation
	pid    int
	why    string
	lived  time.Duration
	tail   []string // last lines of stderr
}

// tailShown is how many of the last lines of stderr the log repeats: Node says why, then ten lines of stack and two more.
const tailShown = 14

func (m *Master) announceStart() {
	for _, note := range m.cfg.Notes {
		m.log.Warn(note)
	}
	var addresses []string
	for _, l := range m.listeners {
		addresses = append(addresses, l.Address())
	}
	m.log.Info("master started", logs.KeyPID, os.Getpid(), keyWorkers, m.cfg.Workers, keyListen, strings.Join(addresses, " "),
		keyHandoff, string(m.cfg.Handoff), keyBalance, string(m.balance))
}

// announce writes the core's news to the log and does what follows from them outside the core.
func (m *Master) announce(a lifecycle.Announce) {
	m.publishNews(a)
	log := m.log
	if a.Slot != lifecycle.NoSlot {
		log = log.With(logs.KeySlot, a.Slot)
	}
	if a.Worker != 0 {
		log = log.With(logs.KeyWorker, a.Worker)
	}
	switch a.News {
	case lifecycle.NewsReady:
		if a.Slot == lifecycle.NoSlot {
			log.Info("spare booted", keyAfter, m.since(a.Worker))
			return
		}
		log.Info("worker ready", keyAfter, m.since(a.Worker))
	case lifecycle.NewsServing:
		log.Info("serving", keyWorkers, m.state.Want)
		m.warnUnserved()
	case lifecycle.NewsLeft, lifecycle.NewsFailed:
		m.reportExit(log, a)
	case lifecycle.NewsNotReady:
		log.Error("worker not ready in time", m.notReadyAttrs(a)...)
	case lifecycle.NewsDying:
		if m.state.Policy.Singleton {
			log.Info("worker is dying: its replacement starts when it has ended")
		} else {
			log.Info("worker is dying: its replacement starts now")
		}
	case lifecycle.NewsHung:
		log.Error("worker hung", keyAfter, a.After, keyReason, a.Why)
	case lifecycle.NewsCrashLooping:
		log.Error("slot is crash-looping", keyRetryIn, a.After.Round(time.Millisecond))
		m.slotFailing(a.Slot, "is crash-looping")
	case lifecycle.NewsRecovered:
		log.Info("slot recovered")
	case lifecycle.NewsBackingOff:
		log.Error("app fails too often: all failing slots wait", keyRetryIn, a.After.Round(time.Millisecond))
	case lifecycle.NewsGaveUp:
		log.Error("slot given up: it stays empty")
		m.slotFailing(a.Slot, "was given up")
	case lifecycle.NewsAppGaveUp:
		m.giveUp()
		m.abandon("the app gave up")
	case lifecycle.NewsStopped:
		log.Info("stopped")
		m.ended = true
		m.exitCode = m.stoppedCode()
		m.stopped()
	case lifecycle.NewsCommitted:
		log.Info("new generation proved itself", keyOp, a.Op)
	case lifecycle.NewsReloaded:
		log.Info("reloaded", keyOp, a.Op)
		m.reloaded(a)
	case lifecycle.NewsReloadFailed:
		log.Error("reload failed: the last good generation stays", keyOp, a.Op, keyReason, a.Why)
		m.reloadFailed(a)
	case lifecycle.NewsRunBegan, lifecycle.NewsRunEnded, lifecycle.NewsRunSkipped, lifecycle.NewsCompleted:
		m.announceRun(a)
	case lifecycle.NewsRecycling:
		log.Info("recycling", keyReason, a.Why)
	}
}

func (m *Master) notReadyAttrs(a lifecycle.Announce) []any {
	attrs := []any{keyAfter, a.After}
	if a.Why != "" {
		attrs = append(attrs, keyReason, a.Why)
	}
	return attrs
}

// warnUnserved names the declared listeners that a Node program does not listen on: clients would wait there for nobody.
func (m *Master) warnUnserved() {
	if !m.cfg.speaksNode() {
		return
	}
	for _, l := range m.listeners {
		if l.declared && !l.closed && !m.held(l) {
			m.log.Warn("no worker listens there", keyListener, l.Address(), keyHint, "let the program listen on it: the variable PORT holds the port")
		}
	}
}

func (m *Master) held(l *listener) bool {
	for _, w := range m.workers {
		if w.holds(l) {
			return true
		}
	}
	return false
}

func (m *Master) since(id lifecycle.WorkerID) time.Duration {
	if w := m.workers[id]; w != nil && w.process != nil {
		return time.Since(w.started).Round(time.Millisecond)
	}
	return 0
}

// reportExit writes an exit report: how the worker ended, how long it lived, what it said last, and what follows.
func (m *Master) reportExit(log *slog.Logger, a lifecycle.Announce) {
	attrs := []any{keyExit, a.Why}
	note := m.note(a.Worker)
	if note != nil {
		attrs = append(attrs, logs.KeyPID, note.pid, keyLived, note.lived.Round(time.Millisecond))
	}
	if a.Reason != "" {
		attrs = append(attrs, keyReason, string(a.Reason))
	}
	if a.Recycled != "" {
		attrs = append(attrs, keyRecycled, a.Recycled)
	}
	if a.Hang != "" {
		attrs = append(attrs, keyHang, a.Hang)
	}
	if a.News == lifecycle.NewsLeft {
		log.Info("worker exited", attrs...)
		return
	}
	if a.After > 0 {
		attrs = append(attrs, keyRetryIn, a.After.Round(time.Millisecond))
	}
	if note != nil && len(note.tail) > 0 {
		attrs = append(attrs, keyStderr, strings.Join(logs.Last(note.tail, tailShown), "\n"))
	}
	if a.Reason == lifecycle.ReasonDying {
		log.Info("worker exited", attrs...)
		return
	}
	log.Warn("worker exited", attrs...)
}

func (m *Master) note(id lifecycle.WorkerID) *exitNote {
	for i := range m.exits {
		if m.exits[i].worker == id {
			return &m.exits[i]
		}
	}
	return nil
}

// giveUp ends the master with the app's own exit code.
func (m *Master) giveUp() {
	m.exitCode = exitCodeOf(m.lastExit)
	m.log.Error("gave up", keyExit, m.lastExit.String(), keyCode, m.exitCode)
	m.ended = true
}

// exitGaveUp is the exit code where the app's own says nothing.
const exitGaveUp = 5

// exitCodeOf is the exit code of a process that ends as another has ended, as a shell has it.
func exitCodeOf(e proc.Exit) int {
	switch {
	case e.Signal != 0:
		return 128 + int(e.Signal)
	case e.Known && e.Code != 0:
		return e.Code
	default:
		return exitGaveUp
	}
}
