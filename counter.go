package muster

import (
	"fmt"
	"sync/atomic"
)

// counter counts the connections that the program has accepted, up to the number at which the master wants to replace the worker.
type counter struct {
	limit    int64 // zero: nobody wants to know
	accepted atomic.Int64
}

func newCounter(limit int) *counter { return &counter{limit: int64(limit)} }

// add counts a connection, and tells whether it is the one that reaches the limit.
func (c *counter) add() bool { return c.limit > 0 && c.accepted.Add(1) == c.limit }

// accepted counts a connection that Accept returns. At the limit it tells the master, once: it replaces this worker when it is its turn,
// and until then everything goes on. The message may have to wait, and the connection must not.
func (w *worker) accepted() {
	if w.count.add() {
		go w.notify.send(fmt.Sprintf("X_MUSTER_CONNECTIONS=%d", w.count.limit)) // ends with the message
	}
}
