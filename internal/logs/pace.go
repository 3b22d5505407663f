package logs

import "time"

// Bounds of a pace.
const (
	busyWithin = 5 * time.Millisecond // a round that begins so soon after the last one is part of a flood
	busyBytes  = 8 << 10              // and so is one of so much, since the pump may have been waiting for a CPU
	firstPause = 200 * time.Microsecond
	maxPause   = 8 * time.Millisecond
)

// pace lets a pump whose worker writes all the time wait for a moment between rounds, so that a round is many lines: to wake for each one costs far
// more than the line. The pause becomes such that the pipe is about half full by then. A worker that writes once in a while is heard at once. It is
// plain data, and is told the time.
type pace struct {
	room  int // of the pipe, in bytes
	pause time.Duration
}

// isFull tells whether the worker may have waited in a round of so many bytes.
func (p *pace) isFull(bytes int) bool { return bytes > p.room*3/4 }

// after is how long to pause after a round of so many bytes, the first of which came so long after the last pause.
func (p *pace) after(bytes int, waited time.Duration) time.Duration {
	switch {
	case waited > busyWithin && bytes < busyBytes:
		p.pause = 0
	case p.isFull(bytes):
		p.pause /= 2
	case bytes < p.room/3:
		p.pause = min(max(2*p.pause, firstPause), maxPause)
	}
	return p.pause
}
