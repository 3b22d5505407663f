package nodeipc

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// owned returns a descriptor for an outbox to own, and a function that tells whether it has been closed.
func owned(t testing.TB) (fd int, closed func() bool) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	fd, err = unix.FcntlInt(w.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return fd, func() bool {
		poll := []unix.PollFd{{Fd: int32(r.Fd())}}
		_, err := unix.Poll(poll, 0)
		return err == nil && poll[0].Revents&unix.POLLHUP != 0
	}
}

func fdOf(t testing.TB) int {
	fd, _ := owned(t)
	return fd
}

func plain(s string) *outbound { return &outbound{data: []byte(s), fd: -1} }

func conn(fd int, seq int64) *outbound {
	return &outbound{data: []byte("handle"), fd: fd, ref: HandleAck{Seq: seq}}
}

// write takes the next record through the outbox and returns its data, "" if there is none to write at now.
func write(o *outbox, now time.Time) string {
	f, wait := o.next(now)
	if f == nil || wait > 0 {
		return ""
	}
	o.wrote()
	return string(f.data)
}

func push(t testing.TB, o *outbox, fs ...*outbound) {
	t.Helper()
	for _, f := range fs {
		if err := o.push(f); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOutboxKeepsOrder(t *testing.T) {
	t.Parallel()
	o := newOutbox(DefaultMaxQueue, 1)
	push(t, o, plain("a"), conn(fdOf(t), 1), plain("b"), conn(fdOf(t), 2), plain("c"))
	now := time.Now()
	got := []string{write(o, now), write(o, now), write(o, now), write(o, now)}
	if diff := cmp.Diff([]string{"a", "handle", "b", ""}, got); diff != "" {
		t.Errorf("before the acknowledgement (-want +got):\n%s", diff)
	}
	if ref, ok := o.acked(); !ok || ref.Seq != 1 {
		t.Errorf("acknowledged %+v, %v", ref, ok)
	}
	got = []string{write(o, now), write(o, now), write(o, now)}
	if diff := cmp.Diff([]string{"handle", "c", ""}, got); diff != "" {
		t.Errorf("after the acknowledgement (-want +got):\n%s", diff)
	}
	o.clear()
}

func TestOutboxAcknowledgementsOvertake(t *testing.T) {
	t.Parallel()
	o := newOutbox(DefaultMaxQueue, 1)
	push(t, o, plain("a"))
	for range maxRepliesOwed {
		if !o.owe(true) {
			t.Fatal("refused too early")
		}
	}
	if o.owe(false) {
		t.Error("owes without bound")
	}
	if got := write(o, time.Now()); got != string(frameACK) {
		t.Errorf("first came %q", got)
	}
}

func TestOutboxSendsRefusedHandlesAgain(t *testing.T) {
	t.Parallel()
	o := newOutbox(DefaultMaxQueue, 4)
	fd, closed := owned(t)
	push(t, o, conn(fd, 9), plain("after"))
	now := time.Now()
	write(o, now)
	for pause := firstPause; pause <= firstPause<<(maxTries-1); pause *= 2 {
		if _, lost, known := o.nacked(now); lost || !known {
			t.Fatalf("lost %v, known %v before the tries were used up", lost, known)
		}
		if got := write(o, now.Add(pause-1)); got != "" {
			t.Fatalf("wrote %q before %v were over", got, pause)
		}
		now = now.Add(pause)
		if got := write(o, now); got != "handle" {
			t.Fatalf("wrote %q after %v", got, pause)
		}
	}
	ref, lost, known := o.nacked(now)
	if ref.Seq != 9 || !lost || !known || !closed() {
		t.Errorf("after the last refusal: %+v, lost %v, known %v, closed %v", ref, lost, known, closed())
	}
	if got := write(o, now); got != "after" {
		t.Errorf("then came %q", got)
	}
	if o.bytes != 0 {
		t.Errorf("%d bytes are still charged", o.bytes)
	}
}

// The worker may answer before the writer knows that its write is done; a broken one, before it is.
func TestOutboxKeepsDescriptorWhileWriting(t *testing.T) {
	t.Parallel()
	o := newOutbox(DefaultMaxQueue, 4)
	fd, closed := owned(t)
	push(t, o, conn(fd, 1))
	f, _ := o.next(time.Now())
	if _, ok := o.acked(); !ok || closed() {
		t.Fatal("descriptor was closed under the writer")
	}
	o.wrote()
	if !closed() || o.bytes != 0 || f.fd != -1 {
		t.Errorf("closed %v, %d bytes charged", closed(), o.bytes)
	}
	if _, ok := o.acked(); ok {
		t.Error("acknowledged twice")
	}
}

func TestOutboxRefusedWhileWriting(t *testing.T) {
	t.Parallel()
	o := newOutbox(DefaultMaxQueue, 4)
	push(t, o, conn(fdOf(t), 1))
	now := time.Now()
	o.next(now)
	o.nacked(now)
	o.wrote()
	if got := write(o, now.Add(firstPause)); got != "handle" {
		t.Errorf("wrote %q", got)
	}
	o.clear()
}

func TestOutboxPostpones(t *testing.T) {
	t.Parallel()
	o := newOutbox(DefaultMaxQueue, 4)
	push(t, o, conn(fdOf(t), 1), plain("after"))
	now := time.Now()
	o.next(now)
	o.postpone(now)
	if _, ok := o.acked(); ok {
		t.Error("a handle that was not sent was acknowledged")
	}
	if got := write(o, now); got != "" {
		t.Errorf("wrote %q at once", got)
	}
	o.owe(true)
	if got := write(o, now); got != string(frameACK) {
		t.Errorf("the worker's handle waits: wrote %q", got)
	}
	now = now.Add(kernelPause)
	if diff := cmp.Diff([]string{"handle", "after"}, []string{write(o, now), write(o, now)}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if lost := o.clear(); len(lost) != 1 {
		t.Errorf("lost %v", lost)
	}
}

func TestOutboxPostponesAPart(t *testing.T) {
	t.Parallel()
	o := newOutbox(DefaultMaxQueue, 4)
	push(t, o, plain("abc"), plain("after"))
	now := time.Now()
	f, _ := o.next(now)
	f.off = 1
	o.postpone(now)
	o.owe(true)
	if got := write(o, now); got != "" {
		t.Errorf("wrote %q into a record", got)
	}
	if got := write(o, now.Add(kernelPause)); got != "abc" {
		t.Errorf("wrote %q", got)
	}
}

func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	o := newOutbox(2*handleCharge, 4)
	fd, closed := owned(t)
	push(t, o, conn(fd, 1))
	second := conn(fd, 2)
	if err := o.push(second); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	if err := o.push(plain(string(make([]byte, 2*handleCharge)))); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	o.stop()
	if err := o.push(second); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if lost := o.clear(); len(lost) != 1 || !closed() {
		t.Errorf("lost %v, closed %v", lost, closed())
	}
}

// accounts drives an outbox at random and keeps its own books.
type accounts struct {
	*outbox
	t      *testing.T
	now    time.Time
	closed []func() bool // by number, from 1
	ends   map[int64]int // how often a handle was acknowledged or lost
}

func (a *accounts) handle(*rapid.T) {
	fd, closed := owned(a.t)
	if a.push(conn(fd, int64(len(a.closed)+1))) != nil {
		unix.Close(fd)
		return
	}
	a.closed = append(a.closed, closed)
}

func (a *accounts) ack(*rapid.T) {
	if ref, ok := a.acked(); ok {
		a.ends[ref.Seq]++
	}
}

func (a *accounts) nack(*rapid.T) {
	if ref, lost, _ := a.nacked(a.now); lost {
		a.ends[ref.Seq]++
	}
}

func (a *accounts) withCurrent(f func()) {
	if a.current != nil {
		f()
	}
}

func (a *accounts) check(t *rapid.T) {
	if len(a.unacked) > a.maxHandles {
		t.Fatalf("%d handles without acknowledgement", len(a.unacked))
	}
	charged := 0
	for _, f := range a.pending() {
		if !isAcknowledgement(f) {
			charged += f.charge()
		}
	}
	if charged != a.bytes {
		t.Fatalf("%d bytes charged, %d pending", a.bytes, charged)
	}
}

func (a *accounts) checkEnd(t *rapid.T) {
	for i, closed := range a.closed {
		if n := int64(i + 1); a.ends[n] != 1 || !closed() {
			t.Fatalf("handle %d ended %d times, closed %v", n, a.ends[n], closed())
		}
	}
}

// Whatever happens, every handle ends once, acknowledged or lost, its descriptor is closed, and the charge is that of what is pending.
func TestOutboxAccounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		a := &accounts{outbox: newOutbox(8*handleCharge, 2), t: t, now: time.Now(), ends: map[int64]int{}}
		r.Repeat(map[string]func(*rapid.T){
			"plain":    func(*rapid.T) { _ = a.push(plain("p")) },
			"handle":   a.handle,
			"owe":      func(*rapid.T) { a.owe(true) },
			"begin":    func(*rapid.T) { a.next(a.now) },
			"wrote":    func(*rapid.T) { a.withCurrent(a.wrote) },
			"postpone": func(*rapid.T) { a.withCurrent(func() { a.postpone(a.now) }) },
			"later":    func(*rapid.T) { a.now = a.now.Add(firstPause) },
			"ack":      a.ack,
			"nack":     a.nack,
			"":         a.check,
		})
		for _, ref := range a.clear() {
			a.ends[ref.Seq]++
		}
		a.checkEnd(r)
	})
}

func ping(seq int64) *outbound { return &outbound{data: framePing, fd: -1, ref: HandleAck{Seq: seq}} }

// TestHandlesWaitForAPing, since a worker that reads both at once would take the descriptor for the ping's. Messages do not.
func TestHandlesWaitForAPing(t *testing.T) {
	t.Parallel()
	o := newOutbox(1<<20, 16)
	now := time.Now()
	push(t, o, conn(fdOf(t), 1), ping(2), plain("message"), conn(fdOf(t), 3))
	for i, want := range []string{"handle", string(framePing), "message", ""} {
		if got := write(o, now); got != want {
			t.Fatalf("record %d is %q, want %q", i, got, want)
		}
	}
	if ref, ok := o.acked(); !ok || ref.Seq != 1 {
		t.Errorf("%+v is acknowledged first", ref)
	}
	if got := write(o, now); got != "" {
		t.Errorf("%q is sent before the ping is answered", got)
	}
	if ref, lost, known := o.nacked(now); !known || !lost || !ref.ofPing() {
		t.Errorf("%+v, lost %v, known %v for the ping", ref, lost, known)
	}
	if got := write(o, now); got != "handle" {
		t.Errorf("%q is sent when the ping is answered", got)
	}
	if lost := o.clear(); len(lost) != 1 || lost[0].Seq != 3 || o.bytes != 0 {
		t.Errorf("%+v is lost, %d bytes are left", lost, o.bytes)
	}
}

// TestNobodyMissesAPing: at the end of the channel nothing is told of it.
func TestNobodyMissesAPing(t *testing.T) {
	t.Parallel()
	o := newOutbox(1<<20, 16)
	push(t, o, ping(1), ping(2))
	if got := write(o, time.Now()); got != string(framePing) {
		t.Fatalf("sent %q", got)
	}
	if lost := o.clear(); len(lost) != 0 || o.bytes != 0 {
		t.Errorf("%+v is lost, %d bytes are left", lost, o.bytes)
	}
}
