// Package pulse watches accept queues, each of which one worker shall empty, and tells in which of them connections wait.
//
// An idle queue costs nothing: the kernel wakes the watcher with the first connection. From then on it looks at the length again and
// again, until the queue has been empty for a while. A queue that is not empty and does not fall is stuck, and stays so until
// somebody other than the watcher's user takes from it.
package pulse

import "time"

// Queue is what is watched. sock.Socket is one.
type Queue interface {
	FD() int
	Length() (int, error)
}

// Report says that connections wait in a stuck queue (Stuck), again and again while they do, or that it moves again.
type Report struct {
	Key    Key
	Stuck  bool
	Urgent bool // as it was said to be at the look: that it is stuck says nothing of a worker that has come since
	Len    int
}

// Key names a queue for the user of the watcher.
type Key struct {
	Listener int
	Slot     int
}

// Intervals between looks at a queue.
const (
	first  = 5 * time.Millisecond  // after the first connection: a worker that is there has taken it by then
	doubt  = 8 * time.Millisecond  // after a look at a queue that is stuck, or that is not empty and has not fallen
	period = 20 * time.Millisecond // after any other
	stills = 3                     // looks without a fall that make a queue stuck
	rests  = 5                     // looks at an empty queue after which it is idle
)

// entry is a queue under watch.
type entry struct {
	key    Key
	queue  Queue
	urgent bool // nobody serves it: every connection in it is one too many
	active bool
	at     time.Time // of the next look
	last   int       // length at the last look
	taken  int       // by the user since then
	still  int
	rest   int
	stuck  bool
	fresh  bool // what was known of it is of no account: somebody else serves it
}

// wake begins to look.
func (e *entry) wake(now time.Time) {
	if e.active {
		return
	}
	e.active, e.rest, e.still, e.last, e.taken = true, 0, 0, 1, 0
	e.at = now.Add(first)
	if e.urgent {
		e.at = now
	}
}

// look takes a new length and returns what there is to report, if anything.
func (e *entry) look(now time.Time, n int) (Report, bool) {
	fell := n < e.last-e.taken
	e.last, e.taken = n, 0
	was := e.stuck
	if e.fresh {
		e.stuck, e.still, e.fresh = false, 0, false
	}
	e.judge(n, fell)
	e.at = now.Add(period)
	if e.stuck || n > 0 && !fell {
		e.at = now.Add(doubt)
	}
	if n == 0 {
		e.rest++
		e.active = e.rest < rests
	} else {
		e.rest = 0
	}
	return Report{Key: e.key, Stuck: e.stuck, Urgent: e.urgent, Len: n}, e.stuck && n > 0 || was && !e.stuck
}

func (e *entry) judge(n int, fell bool) {
	switch {
	case e.urgent && n > 0:
		e.stuck = true
	case fell:
		e.stuck, e.still = false, 0
	case n > 0:
		e.still++
		e.stuck = e.stuck || e.still >= stills
	default:
		e.still = 0
	}
}
