package master

import (
	"fmt"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/proc"
)

// describeSenses says by what a worker is watched for a hang, and what that says now.
func (m *Master) describeSenses(d *api.Worker, k *lifecycle.Worker, w *worker) {
	serving := k.Phase == lifecycle.Serving
	if m.state.Policy.HangTimeout == 0 || w.process == nil || !serving && k.Phase != lifecycle.Draining {
		return
	}
	add := func(sense lifecycle.Sense, silent bool, says string) {
		d.Senses = append(d.Senses, api.Sense{Name: string(sense), Silent: silent, Says: says})
	}
	if m.pings(w) {
		add(lifecycle.SensePing, w.silent, w.pingSays())
	}
	if serving && m.watchesQueue(w) {
		says := "empty"
		if n := m.waitingFor(w); n > 0 {
			says = fmt.Sprintf("%d waiting", n)
		}
		add(lifecycle.SenseQueue, w.blocked, says)
	}
	if serving && k.Beats {
		last := k.BeatBy.Add(-m.state.Policy.HangTimeout)
		add(lifecycle.SenseHeartbeat, w.suspected == lifecycle.SenseHeartbeat, "last sign "+agoText(last))
	}
	if len(d.Senses) > 0 {
		d.Process, d.Spared = processSays(w.handle.PID), w.spared
	}
}

// pings tells whether the worker is asked for signs of life.
func (m *Master) pings(w *worker) bool {
	return m.cfg.hasChannel() && w.conn != nil && !w.hungUp && m.answers(w)
}

func (w *worker) pingSays() string {
	switch {
	case w.sign != 0 && time.Since(w.signAt) > pingSoon:
		return "asked " + agoText(w.signAt) + ", no answer yet"
	case w.heard.IsZero():
		return "not asked yet"
	}
	return "answered " + agoText(w.heard)
}

// pingSoon is how long an answer may take that is not worth a word.
const pingSoon = 100 * time.Millisecond

func agoText(at time.Time) string {
	return time.Since(at).Round(100*time.Millisecond).String() + " ago"
}

// watchesQueue tells whether the worker has a queue of its own that is looked at.
func (m *Master) watchesQueue(w *worker) bool {
	if m.rescue.watch == nil {
		return false
	}
	for _, l := range m.listeners {
		if !l.shared && !l.closed && m.served(l, w.slot) {
			return true
		}
	}
	return false
}

// waitingFor counts the connections in the worker's own queues.
func (m *Master) waitingFor(w *worker) int {
	n := 0
	for _, l := range m.listeners {
		if !l.shared {
			n += l.waiting(w.slot)
		}
	}
	return n
}

// processStates are proc(5)'s letters in words.
var processStates = map[byte]string{
	'R': "computes", 'S': "asleep", 'D': "waits for a disk", 'T': "stopped by a signal", 't': "stopped by a debugger", 'I': "asleep",
}

func processSays(pid int) string {
	state, used, err := proc.Used(pid)
	if err != nil {
		return ""
	}
	what, known := processStates[state]
	if !known {
		return ""
	}
	return fmt.Sprintf("%s, %v of CPU time so far", what, used)
}
