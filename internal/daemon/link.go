package daemon

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
)

// link follows the events of a master, for as long as it lives.
type link struct {
	cancel    context.CancelFunc
	last      chan struct{} // closed when the master has ended: the stream that is open is the last
	done      chan struct{} // closed at the end
	gaveUp    atomic.Bool   // the master said so
	succeeded atomic.Bool   // so did the last run of a job
}

func (k *keeper) follow(m *master) *link {
	ctx, cancel := context.WithCancel(context.Background())
	l := &link{cancel: cancel, last: make(chan struct{}), done: make(chan struct{})}
	go func() { // ends with ctx, or with the last stream
		defer close(l.done)
		k.watch(ctx, l, m.socket)
	}()
	return l
}

// close ends the link at once.
func (l *link) close() {
	l.cancel()
	<-l.done
}

// lastWords bounds the time in which the last events of a master that has ended are read.
const lastWords = time.Second

// finish reads what the master has said before its end, and ends the link.
func (l *link) finish() {
	close(l.last)
	bound := time.NewTimer(lastWords)
	defer bound.Stop()
	select {
	case <-l.done:
	case <-bound.C:
	}
	l.close()
}

func (l *link) isLast() bool {
	select {
	case <-l.last:
		return true
	default:
		return false
	}
}

// linkPause is the time between two tries to reach a master that does not answer, as one that becomes another binary.
const linkPause = 200 * time.Millisecond

// watch passes the master's events on until ctx is done. A stream that breaks is begun anew.
func (k *keeper) watch(ctx context.Context, l *link, socket string) {
	c := client.New(socket)
	defer c.Close()
	revision, known := uint64(0), false
	pause := time.NewTimer(linkPause)
	defer pause.Stop()
	for ctx.Err() == nil && !l.isLast() {
		events, err := open(ctx, c, revision, known)
		if err == nil {
			for e, err := events.Next(); err == nil; e, err = events.Next() {
				k.note(ctx, l, c, e)
			}
			revision, known = events.Revision(), true
			events.Close()
		}
		pause.Reset(linkPause)
		select {
		case <-ctx.Done():
		case <-l.last:
		case <-pause.C:
		}
	}
}

func open(ctx context.Context, c *client.Client, revision uint64, known bool) (*client.Events, error) {
	if known {
		return c.EventsSince(ctx, revision)
	}
	return c.Events(ctx)
}

// note keeps what the event tells of the app, and passes it on.
func (k *keeper) note(ctx context.Context, l *link, c *client.Client, e api.Event) {
	switch e.Kind {
	case api.EventAppGaveUp:
		l.gaveUp.Store(true)
	case api.EventRunEnded:
		l.succeeded.Store(e.Run != nil && e.Run.State == api.RunSucceeded)
	case api.EventScaled:
		if a, err := c.AppUnmeasured(ctx); err == nil {
			k.later(ctx, l, func() { k.scaled(a.Workers) })
		}
	case api.EventSnapshot:
		if n := len(e.App.Runs); n > 0 {
			l.succeeded.Store(e.App.Runs[n-1].State == api.RunSucceeded)
		}
		for _, op := range e.App.Operations {
			k.later(ctx, l, func() { k.settle(op) })
		}
	case api.EventOperation:
		if op := e.Operation; op != nil {
			k.later(ctx, l, func() { k.settle(*op) })
		}
	default:
	}
	k.stale.Store(true)
	e.Name = k.id
	if e.Kind != api.EventSnapshot {
		k.d.feed.publish(e)
	}
	k.d.somethingChanged()
}

// later runs f in the loop, unless the loop is waiting for the end of this link and there is no room.
func (k *keeper) later(ctx context.Context, l *link, f func()) {
	select {
	case k.inbox <- f:
	case <-k.ended:
	case <-l.last:
	case <-ctx.Done():
	}
}

// forgetApp is for a new master. What the one before still answers does not count.
func (k *keeper) forgetApp() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.app, k.silent, k.answered = nil, "", k.asked
	k.stale.Store(true)
}

// refresh asks the master how the app is. Of answers to several who ask at the same time, that to the last one counts: an earlier one may be older,
// and come later.
func (k *keeper) refresh(ctx context.Context) {
	socket, turn := k.ask()
	if socket == "" {
		return
	}
	c := client.New(socket)
	defer c.Close()
	a, err := c.AppUnmeasured(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if turn <= k.answered {
		return
	}
	k.app, k.silent, k.answered = &a, "", turn
	if err != nil {
		k.stale.Store(true)
		k.app, k.silent = nil, err.Error()
	}
}

// ask returns where to ask, if there is a master, and the number of this question. What happens from here on is to be asked for again.
func (k *keeper) ask() (socket string, turn uint64) {
	if socket = k.entry().Socket; socket == "" {
		return "", 0
	}
	k.stale.Store(false)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	return socket, k.asked
}
