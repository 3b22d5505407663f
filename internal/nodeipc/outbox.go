package nodeipc

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	handleCharge   = 4096                  // what a waiting descriptor counts against the bytes that may wait
	maxRepliesOwed = 64                    // a worker that asks for more acknowledgements than this without reading one is broken
	maxTries       = 5                     // how often a refused handle is sent again
	firstPause     = 50 * time.Millisecond // before the first time; doubles
	kernelPause    = 50 * time.Millisecond // when too many descriptors are under way for the kernel
)

// verdict is what the worker said about a handle while the writer still had it.
type verdict int

const (
	none verdict = iota
	held
	refused
)

// outbound is one record on its way to the worker.
type outbound struct {
	data    []byte
	off     int // bytes the kernel took
	fd      int // owned; -1: none
	ref     HandleAck
	tries   int       // how often the worker refused it
	after   time.Time // not before
	verdict verdict
}

func (f *outbound) charge() int {
	if f.fd < 0 {
		return len(f.data)
	}
	return len(f.data) + handleCharge
}

func (f *outbound) release() {
	if f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
}

// outbox holds what is to be written, in order, and the handles the worker has not acknowledged. Its writer alone touches the current
// record's offset and descriptor; everything else is under mu.
type outbox struct {
	maxBytes, maxHandles int
	wake                 chan struct{} // capacity 1: something changed
	stopped              chan struct{} // closed: nothing is taken any more and the writer ends

	mu      sync.Mutex
	ended   bool
	bytes   int         // charged by everything in the slices below
	current *outbound   // with the writer
	owed    []bool      // acknowledgements to give, true for held; they overtake
	retry   []*outbound // refused handles; they go first when their time has come
	queue   []*outbound
	unacked []*outbound // in the order in which they were sent; current may be the last
}

func newOutbox(maxBytes, maxHandles int) *outbox {
	return &outbox{maxBytes: maxBytes, maxHandles: maxHandles, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
}

// push appends f. When it refuses, f's descriptor remains the caller's.
func (o *outbox) push(f *outbound) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ended:
		return ErrClosed
	case o.bytes+f.charge() > o.maxBytes:
		return ErrFull
	}
	o.bytes += f.charge()
	o.queue = append(o.queue, f)
	o.rouse()
	return nil
}

// owe notes an acknowledgement to give. It reports false when the worker is owed too many.
func (o *outbox) owe(isHeld bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.owed) == maxRepliesOwed {
		return false
	}
	o.owed = append(o.owed, isHeld)
	o.rouse()
	return true
}

// next makes the record to write now the current one. Without any it says how long to wait for one; 0 means until woken.
func (o *outbox) next(now time.Time) (*outbound, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ended:
		return nil, 0
	case o.current != nil:
		return o.current, o.current.after.Sub(now)
	case len(o.owed) > 0:
		o.current = acknowledgement(pop(&o.owed))
		return o.current, 0
	case (len(o.unacked) >= o.maxHandles || o.pinged()) && o.headIsHandle():
		return nil, 0
	case len(o.retry) > 0:
		return o.nextRetry(now)
	case len(o.queue) > 0:
		return o.begin(pop(&o.queue)), 0
	}
	return nil, 0
}

func (o *outbox) headIsHandle() bool {
	return len(o.retry) > 0 || len(o.queue) > 0 && o.queue[0].awaited()
}

func (o *outbox) nextRetry(now time.Time) (*outbound, time.Duration) {
	if wait := o.retry[0].after.Sub(now); wait > 0 {
		return nil, wait
	}
	return o.begin(pop(&o.retry)), 0
}

// begin notes a handle as unacknowledged before it is sent, because the answer may be here before the writer has returned.
func (o *outbox) begin(f *outbound) *outbound {
	o.current = f
	f.off, f.verdict, f.after = 0, none, time.Time{}
	if f.awaited() {
		o.unacked = append(o.unacked, f)
	}
	return f
}

// wrote ends the current record: the kernel has all of it.
func (o *outbox) wrote() {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.current
	o.current = nil
	switch {
	case isAcknowledgement(f):
	case !f.awaited():
		o.bytes -= f.charge()
	case f.verdict != none:
		o.settle(f)
	}
}

// postpone puts the current record off, because the kernel has no room for another descriptor.
func (o *outbox) postpone(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.current
	f.after = now.Add(kernelPause)
	if f.off > 0 || f.fd < 0 {
		return
	}
	o.current = nil
	if f.verdict != none {
		o.settle(f)
		return
	}
	o.unacked = o.unacked[:len(o.unacked)-1]
	o.retry = append([]*outbound{f}, o.retry...)
}

// settle carries out the verdict on a handle that the writer is done with.
func (o *outbox) settle(f *outbound) {
	if f.verdict == refused {
		o.retry = append(o.retry, f)
		return
	}
	o.bytes -= f.charge()
	f.release()
}

// acked settles the oldest handle that has no answer yet. It reports false when there is none.
func (o *outbox) acked() (HandleAck, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.unacked) == 0 {
		return HandleAck{}, false
	}
	f := pop(&o.unacked)
	o.judge(f, held)
	return f.ref, true
}

// nacked has the oldest handle without an answer sent again. It reports known false when there is none, and lost true when it was refused
// too often, or is a ping, which is to be refused.
func (o *outbox) nacked(now time.Time) (ref HandleAck, lost, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.unacked) == 0 {
		return HandleAck{}, false, false
	}
	f := pop(&o.unacked)
	if f.tries == maxTries || f.isPing() {
		o.judge(f, held)
		return f.ref, true, true
	}
	f.after = now.Add(firstPause << f.tries)
	f.tries++
	o.judge(f, refused)
	return f.ref, false, true
}

// judge settles f now, or leaves that to the writer if it has f.
func (o *outbox) judge(f *outbound, v verdict) {
	f.verdict = v
	if f != o.current {
		o.settle(f)
	}
	o.rouse()
}

// stop makes every later push fail and ends the writer.
func (o *outbox) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ended {
		o.ended = true
		close(o.stopped)
	}
}

// clear gives up everything that is left, once the writer has ended, and returns the handles the worker did not acknowledge.
func (o *outbox) clear() []HandleAck {
	o.mu.Lock()
	defer o.mu.Unlock()
	var lost []HandleAck
	for _, f := range o.pending() {
		if f.fd >= 0 && f.verdict != held {
			lost = append(lost, f.ref)
		}
		f.release()
	}
	o.current, o.owed, o.retry, o.queue, o.unacked, o.bytes = nil, nil, nil, nil, nil, 0
	return lost
}

// pending lists what has been sent and not acknowledged, or not been sent, oldest first.
func (o *outbox) pending() []*outbound {
	all := append([]*outbound(nil), o.unacked...)
	if o.current != nil && (len(all) == 0 || all[len(all)-1] != o.current) {
		all = append(all, o.current)
	}
	return append(append(all, o.retry...), o.queue...)
}

// rouse wakes the writer.
func (o *outbox) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func acknowledgement(isHeld bool) *outbound {
	if isHeld {
		return &outbound{data: frameACK, fd: -1}
	}
	return &outbound{data: frameNACK, fd: -1}
}

// isAcknowledgement tells whether f was owed rather than queued.
func isAcknowledgement(f *outbound) bool {
	return &f.data[0] == &frameACK[0] || &f.data[0] == &frameNACK[0]
}

// pop takes the first element, and forgets it so that it can be collected.
func pop[T any](s *[]T) T {
	var zero T
	first := (*s)[0]
	(*s)[0] = zero
	*s = (*s)[1:]
	return first
}
