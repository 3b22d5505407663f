package logs

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultQueue is how many records NewAsync queues by default.
const DefaultQueue = 1024

// Async is a slog.Handler that passes records on to another one from a goroutine of its own, so that a writer that blocks never
// holds up who logs. When its queue is full, records are dropped and counted; once half of the queue is free again, one warning
// tells how many. Handlers that it derives share the queue, so all records stay in order.
type Async struct {
	next slog.Handler
	q    *queue
}

type queue struct {
	entries chan entry
	dropped atomic.Int64
	closing chan struct{}
	once    sync.Once
	done    chan struct{} // closed when drain has ended
}

type entry struct {
	ctx    context.Context
	next   slog.Handler
	record slog.Record
}

// NewAsync returns a handler in front of h that queues up to size records; below 1 it is DefaultQueue. Its goroutine ends at
// Close.
func NewAsync(h slog.Handler, size int) *Async {
	if size < 1 {
		size = DefaultQueue
	}
	q := &queue{entries: make(chan entry, size), closing: make(chan struct{}), done: make(chan struct{})}
	go q.drain(h)
	return &Async{next: h, q: q}
}

// Enabled asks the handler behind.
func (a *Async) Enabled(ctx context.Context, level slog.Level) bool {
	return a.next.Enabled(ctx, level)
}

// Handle queues the record and never blocks or fails. After Close it drops it.
func (a *Async) Handle(ctx context.Context, r slog.Record) error {
	a.q.put(entry{ctx: context.WithoutCancel(ctx), next: a.next, record: r.Clone()})
	return nil
}

// WithAttrs derives a handler that shares the queue.
func (a *Async) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Async{next: a.next.WithAttrs(attrs), q: a.q}
}

// WithGroup derives a handler that shares the queue.
func (a *Async) WithGroup(name string) slog.Handler {
	return &Async{next: a.next.WithGroup(name), q: a.q}
}

// Close takes no more records and waits until the queued ones are written, or for ctx, whose error it returns; they are then still
// written if the writer ever goes on. A record that comes while Close runs may be lost. It may be called more than once.
func (a *Async) Close(ctx context.Context) error {
	a.q.once.Do(func() { close(a.q.closing) })
	select {
	case <-a.q.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (q *queue) put(e entry) {
	select {
	case <-q.closing:
		return
	default:
	}
	select {
	case q.entries <- e:
	default:
		q.dropped.Add(1)
	}
}

// drain passes records on until the queue is closed and empty.
func (q *queue) drain(h slog.Handler) {
	defer close(q.done)
	for {
		select {
		case e := <-q.entries:
			q.pass(h, e)
		case <-q.closing:
			q.rest(h)
			return
		}
	}
}

// rest passes on what is left when the queue is closed.
func (q *queue) rest(h slog.Handler) {
	for {
		select {
		case e := <-q.entries:
			q.pass(h, e)
		default:
			q.report(h)
			return
		}
	}
}

func (q *queue) pass(h slog.Handler, e entry) {
	_ = e.next.Handle(e.ctx, e.record) // slog, too, has nobody to tell
	if len(q.entries) <= cap(q.entries)/2 {
		q.report(h)
	}
}

func (q *queue) report(h slog.Handler) {
	n := q.dropped.Swap(0)
	if n == 0 || !h.Enabled(context.Background(), slog.LevelWarn) {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log records dropped", 0)
	r.AddAttrs(slog.Int64("count", n))
	_ = h.Handle(context.Background(), r)
}
