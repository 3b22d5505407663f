package logs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"
)

// Defaults of NewSpool.
const (
	DefaultSpoolSize = 512 << 10
	DefaultPatience  = time.Second
)

// SpoolOptions are those of a Spool. The zero value is good.
type SpoolOptions struct {
	Size     int           // bytes that wait for the writer at most; default DefaultSpoolSize
	Patience time.Duration // that a Write waits for a write that is under way; default DefaultPatience
	Gap      func(Loss) []byte
	OnError  func(error) // called when writing begins to fail, and again only after it went well in between
	OnGap    func(Loss)  // called when a gap has been written down
}

// Loss counts what could not be written.
type Loss struct {
	Lines int
	Bytes int
}

func (l Loss) add(p []byte) Loss {
	return Loss{Lines: l.Lines + bytes.Count(p, newline), Bytes: l.Bytes + len(p)}
}

func (l Loss) plus(more Loss) Loss {
	return Loss{Lines: l.Lines + more.Lines, Bytes: l.Bytes + more.Bytes}
}

var newline = []byte{'\n'}

// ErrStalled says that the writer behind a Spool has taken longer than its patience.
var ErrStalled = errors.New("it takes too long to write")

// Spool is an io.Writer of whole lines in front of one that may be slow, stuck or full. A goroutine of its own writes what has come together
// meanwhile, by one write.
//
//	Write ─► pending (Size) ─► one write at a time ─► the writer
//
// While the writer keeps writing, Write waits for room: who writes faster than the writer is slowed down. When a single write takes longer
// than Patience, lines that have no room are dropped and counted, until a write is in time again. What a failing writer does not take is
// counted too. Where lines are missing, the stream has a line that tells how many, as soon as it can be written.
type Spool struct {
	o   SpoolOptions
	out io.Writer // for the goroutine alone

	mu      sync.Mutex
	pending []byte
	lost    Loss          // behind what is pending
	began   time.Time     // of the write under way; zero: none
	stalled bool          // the writer has exhausted the patience
	gone    bool          // EPIPE: nobody will ever read again
	taken   chan struct{} // closed when what was pending has been taken; nil: nobody waits for that
	written chan struct{} // closed when it has been written; nil likewise
	writing chan struct{} // the same for the write under way
	closed  bool

	wake chan struct{}
	done chan struct{} // closed when the goroutine has ended
}

// NewSpool returns a spool in front of w. Its goroutine ends at Close.
func NewSpool(w io.Writer, o SpoolOptions) *Spool {
	if o.Size < 1 {
		o.Size = DefaultSpoolSize
	}
	if o.Patience <= 0 {
		o.Patience = DefaultPatience
	}
	s := &Spool{o: o, out: w, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.run()
	return s
}

// Write takes whole lines. It never fails: what is lost is counted, and told by the spool.
func (s *Spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.gone && !s.fits(p) {
		if !s.await() {
			s.lost = s.lost.add(p)
			return len(p), nil
		}
	}
	if s.closed || s.gone {
		return len(p), nil
	}
	s.pending = append(s.pending, p...)
	s.rouse()
	return len(p), nil
}

// fits tells whether there is room for p. Behind a gap there is none, so that the gap is told where it is.
func (s *Spool) fits(p []byte) bool {
	return s.lost.Lines == 0 && (len(s.pending) == 0 || len(s.pending)+len(p) <= s.o.Size)
}

// rouse tells the goroutine that there is something to do.
func (s *Spool) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// await waits until the goroutine has taken what is pending. It is false when the patience is at its end. The lock is free meanwhile.
func (s *Spool) await() bool {
	left := s.o.Patience
	if !s.began.IsZero() {
		left = time.Until(s.began.Add(s.o.Patience))
	}
	if s.stalled || s.closed || left <= 0 {
		s.stall()
		return false
	}
	if s.taken == nil {
		s.taken = make(chan struct{})
	}
	taken := s.taken
	s.mu.Unlock()
	defer s.mu.Lock()
	patience := time.NewTimer(left)
	defer patience.Stop()
	select {
	case <-taken:
	case <-patience.C:
	}
	return true // there is room, or the next time tells that there is none
}

func (s *Spool) stall() {
	if s.stalled {
		return
	}
	s.stalled = true
	if s.o.OnError != nil {
		go s.o.OnError(ErrStalled) // ends with it: it may log to this spool, whose lock is held
	}
}

// Flush waits until all that was written before is with the writer, or for ctx, whose error it returns. For a writer that has exhausted the
// patience it does not wait.
func (s *Spool) Flush(ctx context.Context) error {
	written := s.next()
	if written == nil {
		return nil
	}
	select {
	case <-written:
		return nil
	case <-s.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// next is closed when what is pending, or being written, has been written; nil: there is nothing.
func (s *Spool) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	var c *chan struct{}
	switch {
	case s.stalled:
		return nil
	case len(s.pending) > 0:
		c = &s.written
	case !s.began.IsZero():
		c = &s.writing
	default:
		return nil
	}
	if *c == nil {
		*c = make(chan struct{})
	}
	return *c
}

// Close takes no more, and waits until what it has is written, or for ctx, whose error it returns. It may be called again. The writer is the
// caller's to close.
func (s *Spool) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.rouse()
	s.mu.Unlock()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// batch is what the goroutine writes at once: lines, perhaps between two that tell of losses.
type batch struct {
	text          []byte
	front, back   int // lengths of the lines that tell of losses
	before, after Loss
	last          bool // nothing will come any more
}

// run writes until Close.
func (s *Spool) run() {
	defer close(s.done)
	var spare []byte
	var failed Loss // what could not be written
	failing := false
	idle := time.NewTimer(idleAfter)
	defer idle.Stop()
	for {
		select {
		case <-s.wake:
		case <-idle.C:
			spare = nil
			s.shrink()
			continue
		}
		for {
			b := s.take(spare, failed)
			spare = b.text
			if len(b.text) == 0 {
				if b.last {
					return
				}
				idle.Reset(idleAfter)
				break
			}
			n, err := s.out.Write(b.text)
			failed = b.missing(n)
			s.finish(errors.Is(err, syscall.EPIPE))
			s.tell(&b, err, failing)
			failing = err != nil
			if failing && b.last {
				return
			}
		}
	}
}

func (s *Spool) tell(b *batch, err error, failing bool) {
	told := b.before.plus(b.after)
	switch {
	case err != nil && !failing && s.o.OnError != nil:
		s.o.OnError(err)
	case err == nil && told.Lines > 0 && s.o.OnGap != nil:
		s.o.OnGap(told)
	}
}

// missing counts what is lost if only n bytes were written: lines, and those whose loss the batch would have told.
func (b *batch) missing(n int) (l Loss) {
	if n >= len(b.text) {
		return l
	}
	if n < b.front {
		l = b.before
	}
	end := len(b.text) - b.back
	return l.plus(b.after).add(b.text[min(max(n, b.front), end):end])
}

// take swaps what is pending for an empty buffer. Losses before and behind it are told in the text.
func (s *Spool) take(spare []byte, failed Loss) batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := batch{text: s.pending, last: s.closed}
	s.pending = spare[:0]
	if failed.Lines > 0 && (len(b.text) > 0 || s.closed) {
		line := s.gapLine(failed)
		b.text, b.front, b.before = append(line, b.text...), len(line), failed
	}
	if s.lost.Lines > 0 {
		line := s.gapLine(s.lost)
		b.text, b.back, b.after = append(b.text, line...), len(line), s.lost
		s.lost = Loss{}
	}
	if len(b.text) > 0 {
		s.began, s.writing, s.written = time.Now(), s.written, nil
	}
	release(&s.taken)
	return b
}

// idleAfter is how long nothing is written before the memory is given back.
const idleAfter = time.Second

// shrink gives the memory back that nothing stands in.
func (s *Spool) shrink() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		s.pending = nil
	}
}

func (s *Spool) gapLine(l Loss) []byte {
	if s.o.Gap == nil {
		return nil
	}
	return s.o.Gap(l)
}

// finish notes the end of a write.
func (s *Spool) finish(gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.began) < s.o.Patience {
		s.stalled = false
	}
	s.began, s.gone = time.Time{}, s.gone || gone
	release(&s.writing)
}

func release(c *chan struct{}) {
	if *c != nil {
		close(*c)
		*c = nil
	}
}
