package master

import (
	"slices"
	"strings"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
)

// keptExits is how many exit reports of a slot are remembered.
const keptExits = 5

// takeNote remembers what news mean. That is kept for a successor together with the decision that they are news of.
func (m *Master) takeNote(a lifecycle.Announce) {
	switch a.News {
	case lifecycle.NewsLeft, lifecycle.NewsFailed:
		m.remember(a)
		m.noteTry(a)
	case lifecycle.NewsRunBegan, lifecycle.NewsRunSkipped, lifecycle.NewsRunEnded:
		m.noteRun(a)
	case lifecycle.NewsServing:
		m.control.memory.Served = true
	default:
	}
}

// remember keeps the exit report.
func (m *Master) remember(a lifecycle.Announce) {
	exit := api.Exit{
		Worker: uint64(a.Worker), At: time.Now(), Why: a.Why, Reason: string(a.Reason), Failed: a.News == lifecycle.NewsFailed, Recycled: a.Recycled, Hang: a.Hang,
		RetryIn: app.Duration(a.After.Round(time.Millisecond)),
	}
	if note := m.note(a.Worker); note != nil {
		exit.PID, exit.Generation, exit.Lived, exit.Stderr = note.pid, uint64(note.gen), app.Duration(note.lived.Round(time.Millisecond)), note.tail
	}
	exits := append(slices.Clone(m.control.memory.Exits[a.Slot]), exit)
	m.control.memory.Exits[a.Slot] = exits[max(0, len(exits)-keptExits):]
}

// publishNews tells what the core announces to those who watch. The words are the same.
func (m *Master) publishNews(a lifecycle.Announce) {
	e := api.Event{
		Kind: api.EventKind(strings.ReplaceAll(string(a.News), " ", "-")), Slot: a.Slot, Worker: uint64(a.Worker), Reason: string(a.Reason),
		Why: a.Why, After: app.Duration(a.After.Round(time.Millisecond)),
	}
	if w := m.workers[a.Worker]; w != nil {
		e.PID, e.Generation = w.pid(), uint64(w.gen)
	}
	if note := m.note(a.Worker); note != nil {
		e.PID, e.Generation = note.pid, uint64(note.gen)
	}
	switch a.News {
	case lifecycle.NewsReady:
		e.After = app.Duration(m.since(a.Worker))
	case lifecycle.NewsFailed, lifecycle.NewsReloadFailed:
		e.Stderr = m.lastLines(a.Worker)
	case lifecycle.NewsRunBegan, lifecycle.NewsRunSkipped, lifecycle.NewsRunEnded:
		e.Run = copyOf(m.findRun(a.Run))
	default:
	}
	m.publish(e)
}

// lastLines are the last lines that a worker wrote to stderr, whether it lives or has just ended. Of no worker, those of the one that has.
func (m *Master) lastLines(id lifecycle.WorkerID) []string {
	if note := m.note(id); note != nil {
		return note.tail
	}
	if w := m.workers[id]; w != nil {
		return w.tail.Lines()
	}
	if id == 0 && len(m.exits) > 0 {
		return m.exits[len(m.exits)-1].tail
	}
	return nil
}

// stopped ends the stop: no worker is left.
func (m *Master) stopped() {
	if op := m.running(api.OperationStop); op != nil {
		m.succeed(op)
	}
	m.abandon("the app was stopped")
}
