package master

import (
	"fmt"
	"strings"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/proc"
)

// A worker that is silent by one of the senses for nearly the hang timeout is looked at: what it did in the time that is left decides.

// examine looks twice at what a silent worker does, and judges by the difference. Until that is known it gets no new connections where these
// can be led past it. It is asked for a sign once more.
func (m *Master) examine(w *worker, by lifecycle.Sense) {
	if w.process == nil {
		return
	}
	m.suspect(w, by)
	m.askSign(w)
	m.observe(w, m.state.Policy.Look(), func(seen look) {
		seen.by = by
		m.examined(w, seen)
	})
}

// observe looks at what a worker does, beside the loop, at the begin and at the end of a window.
func (m *Master) observe(w *worker, window time.Duration, then func(look)) {
	pid := w.handle.PID
	m.wg.Go(func() { // ends after the window, or with the loop
		tree := proc.Tree(pid)
		before, err := proc.Observe(tree)
		timer := time.NewTimer(window)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-m.done:
			return
		case <-m.frozen:
			return
		}
		after, err2 := proc.Observe(tree)
		seen := look{before: before, after: after, window: window, unseen: err != nil || err2 != nil}
		m.post(func() { then(seen) })
	})
}

// suspect leads connections past the worker for as long as it is suspected by one of the senses; empty: no more.
func (m *Master) suspect(w *worker, by lifecycle.Sense) {
	if w.suspected == by {
		return
	}
	w.suspected = by
	for _, l := range m.listeners {
		m.weigh(l)
	}
}

func (m *Master) examined(w *worker, seen look) {
	k := m.state.Worker(w.id)
	if m.workers[w.id] != w || k == nil || w.suspected != seen.by { // it has given a sign
		return
	}
	seen.held, seen.owes = m.of(w).Inspect != nil, w.owes(seen.window) && m.answers(w)
	hung, what := seen.judge()
	m.suspect(w, "")
	if !hung && what != w.spared {
		w.spared = what
		m.log.Info("worker is silent, and not called hung for it", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keySense, string(seen.by), keyReason, what)
	}
	m.step(lifecycle.Examined{Worker: w.id, Sense: seen.by, Hung: hung, Why: m.silences(w, seen) + ", and " + what})
}

// silences says what the worker does not do, by all senses that have noticed.
func (m *Master) silences(w *worker, seen look) string {
	var all []string
	if w.blocked {
		all = append(all, "leaves connections waiting")
	}
	if seen.by == lifecycle.SenseHeartbeat {
		all = append(all, "gives no sign of life any more (WATCHDOG=1)")
	}
	if seen.owes {
		all = append(all, "does not answer on its channel")
	}
	return "it " + strings.Join(all, ", ")
}

// owes tells whether an answer of the worker's has been due for so long.
func (w *worker) owes(d time.Duration) bool { return w.sign != 0 && time.Since(w.signAt) >= d }

// look is what was seen of a silent worker.
type look struct {
	by            lifecycle.Sense
	before, after proc.Activity
	window        time.Duration // between the two
	unseen        bool          // nothing was, or it is gone
	held          bool          // it runs with an inspector, by which somebody may hold it
	owes          bool          // it has not answered within the window
}

// Shares of a CPU.
const (
	burns  = 0.8  // from here on it does nothing else
	sleeps = 0.02 // up to here it does nothing
	starve = 0.05 // up to here it may be that it gets no more
)

// judge tells whether a silent worker is hung, and what it does. What is held by somebody or gets no CPU is not. Nor is one of which only
// the queue is silent, and which neither computes all the time nor sleeps: it works on what it has.
func (l look) judge() (hung bool, what string) {
	used := l.after.CPU - l.before.CPU
	share := float64(used) / float64(l.window)
	delayed := float64(l.after.Delayed-l.before.Delayed) / float64(l.window)
	switch {
	case l.unseen:
		return l.by != lifecycle.SenseQueue || l.owes, "what it does cannot be seen"
	case l.after.Tracer != 0:
		return false, fmt.Sprintf("a debugger holds it (process %d)", l.after.Tracer)
	case l.held:
		return false, "it runs with an inspector, by which somebody may hold it"
	case l.after.Stopped():
		return true, "is stopped (SIGSTOP)"
	case delayed >= 0.5 && share <= starve:
		return false, fmt.Sprintf("it gets too little CPU: it used %d%%, and waited for more", percent(share))
	case share >= burns:
		return true, fmt.Sprintf("burns CPU (%d%%)", percent(share))
	case l.sleeps():
		return true, "sleeps" + waitWords(l.after.Wait)
	case l.by == lifecycle.SenseQueue && !l.owes:
		return false, fmt.Sprintf("it works on what it has (%d%% CPU)", percent(share))
	}
	return true, fmt.Sprintf("uses %d%% CPU", percent(share))
}

// sleeps tells whether the worker uses no CPU, by its own choice as far as can be seen.
func (l look) sleeps() bool {
	return float64(l.after.CPU-l.before.CPU) <= max(sleeps*float64(l.window), float64(cpuTick))
}

// cpuTick is the least CPU time that can be seen.
const cpuTick = 10 * time.Millisecond

func percent(share float64) int { return int(share*100 + 0.5) }

func waitWords(kernel string) string {
	if kernel == "" {
		return ""
	}
	return " (the kernel says: in " + kernel + ")"
}

// isDeaf tells whether the worker gives no sign where one is due.
func (w *worker) isDeaf() bool { return w.blocked || w.silent || w.suspected != "" }

// hangUpOn expects no answers any more: the worker's channel has ended.
func (m *Master) hangUpOn(w *worker) {
	w.sign, w.hungUp = 0, true
	if w.silent {
		w.silent = false
		m.step(lifecycle.Blocked{Worker: w.id, Sense: lifecycle.SensePing})
	}
}

// pingAll asks the workers for signs of life, again and again, where there is a hang timeout: a Node program whose loop turns answers, whether
// or not anybody connects to it.
func (m *Master) pingAll() {
	m.pinging = false
	period := pingPeriod(m.state.Policy.HangTimeout)
	if period == 0 || !m.cfg.hasChannel() {
		return
	}
	for _, w := range m.workers {
		if k := m.state.Worker(w.id); k != nil && (k.Phase == lifecycle.Serving || k.Phase == lifecycle.Draining) {
			m.ping(w, period)
		}
	}
	m.pinging = true
	m.after(period, m.pingAll)
}

// beginPings is called where there may be a hang timeout that there was not before.
func (m *Master) beginPings() {
	if !m.pinging {
		m.pingAll()
	}
}

// ping asks a worker that owes no answer; one that owes one for long is silent.
func (m *Master) ping(w *worker, period time.Duration) {
	owed := time.Since(w.signAt)
	switch {
	case w.sign == 0:
		m.askSign(w)
	case owed >= period*9/10 && m.answers(w): // the alarm may be a little early
		m.setSilent(w, owed)
	}
}

// answers tells whether it means anything that the worker does not answer: those on Node and the SDK do from the first moment, what else may
// speak on Node's channel has to show it once.
func (m *Master) answers(w *worker) bool {
	return m.of(w).Kind == KindNode || m.of(w).Kind == KindSDK || !w.heard.IsZero()
}

// pingPeriod is how often a worker is asked: an answer is overdue long before the hang timeout, and an idle worker is not kept awake.
func pingPeriod(hang time.Duration) time.Duration { return min(hang/4, pingSeldom) }

const pingSeldom = 5 * time.Second

// senseAnew begins with a clean sheet for a worker of another master's: what that one noticed may be over.
func (m *Master) senseAnew(w *worker) {
	if m.workers[w.id] != w {
		return
	}
	for _, sense := range []lifecycle.Sense{lifecycle.SenseQueue, lifecycle.SensePing} {
		m.step(lifecycle.Blocked{Worker: w.id, Sense: sense})
	}
}

// setSilent notes that a worker does not answer, for so long; zero: that it does, or need not any more.
func (m *Master) setSilent(w *worker, owed time.Duration) {
	silent := owed > 0
	if w.silent == silent {
		return
	}
	w.silent = silent
	if silent {
		w.silentAt = time.Now().Add(-owed)
		m.publish(m.eventOf(api.EventBlocked, w, ""))
		m.log.Warn("worker does not answer", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyFor, owed.Round(time.Millisecond))
	} else {
		m.publish(m.eventOf(api.EventUnblocked, w, ""))
		m.log.Info("worker answers again", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyAfter, time.Since(w.silentAt).Round(time.Millisecond))
	}
	for _, l := range m.listeners {
		m.weigh(l)
	}
	m.step(lifecycle.Blocked{Worker: w.id, Sense: lifecycle.SensePing, Is: silent, For: owed})
}
