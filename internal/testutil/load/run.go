package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Run puts the load on and returns what the clients saw, when the last request has ended. A request in flight at the end of
// Options.Duration is waited for; one in flight when ctx ends is dropped and not counted. The error is about the options only.
func Run(ctx context.Context, opts Options) (*Result, error) {
	o, err := opts.normalize()
	if err != nil {
		return nil, err
	}
	g := &gate{ctx: ctx}
	g.left.Store(int64(o.Count))
	g.limited = o.Count > 0
	total := newResult()
	total.Started = time.Now()
	if o.Duration > 0 {
		g.end = total.Started.Add(o.Duration)
	}
	for _, c := range runClients(ctx, o, g) {
		total.merge(c.seen)
	}
	total.Elapsed = time.Since(total.Started)
	total.order()
	return total, nil
}

// runClients starts one goroutine per client and waits for all; each ends when the gate closes.
func runClients(ctx context.Context, o Options, g *gate) []*client {
	clients := make([]*client, o.Clients)
	var wg sync.WaitGroup
	for i := range clients {
		clients[i] = newClient(o)
		wg.Go(func() { clients[i].run(ctx, g) })
	}
	wg.Wait()
	return clients
}

func (c *client) run(ctx context.Context, g *gate) {
	defer c.drop()
	for g.pass() {
		c.ask(ctx)
		if !pause(ctx, c.opts.ThinkTime) {
			return
		}
	}
}

// gate decides whether one more request may start.
type gate struct {
	ctx     context.Context
	end     time.Time // zero: no limit of time
	limited bool
	left    atomic.Int64
}

func (g *gate) pass() bool {
	if g.ctx.Err() != nil || !g.end.IsZero() && !time.Now().Before(g.end) {
		return false
	}
	return !g.limited || g.left.Add(-1) >= 0
}

// pause waits for d; it is false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
