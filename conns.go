package muster

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// hotIdle is how long after its last response a connection is left open for the next request when the worker drains:
	// a client that is about to send is told to close by the response instead of by a reset.
	hotIdle = 500 * time.Millisecond
	// requestPatience is how long a drain waits for the first request of a connection after it was accepted, and for the
	// rest of a request that has begun.
	requestPatience = 5 * time.Second
)

// conns are the open connections of one HTTP server.
//
// http.Server.Shutdown closes connections that are about to send, or whose request it has just read: those between
// accept and first request, and those that became idle a moment ago. So a drain goes through the HTTP/1 connections here
// first. Shutdown then only says goodbye to HTTP/2 connections, which is a matter between two ends that know of each other.
type conns struct {
	mu      sync.Mutex
	live    map[*tracked]struct{}
	changed chan struct{} // capacity 1: something happened that a drain should look at
}

func newConns() *conns {
	return &conns{live: make(map[*tracked]struct{}), changed: make(chan struct{}, 1)}
}

// track wraps nc so that this set knows it until it is closed.
func (s *conns) track(nc net.Conn) net.Conn {
	t := &tracked{set: s, state: http.StateNew, since: time.Now()}
	if inner, ok := nc.(interface{ unwrap() (net.Conn, *tracked) }); ok {
		raw, old := inner.unwrap()
		nc, t.release = raw, old.release
	}
	s.mu.Lock()
	s.live[t] = struct{}{}
	s.mu.Unlock()
	return wrapConn(nc, t)
}

func (s *conns) remove(t *tracked) {
	s.mu.Lock()
	delete(s.live, t)
	s.mu.Unlock()
	s.wake()
}

func (s *conns) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// drain returns when no HTTP/1 connection is left, or with the error of ctx.
func (s *conns) drain(ctx context.Context) error {
	return s.wait(ctx, time.Now(), (*tracked).http1)
}

// drainHijacked waits for the connections that their handlers took over.
func (s *conns) drainHijacked(ctx context.Context) error {
	return s.wait(ctx, time.Now(), (*tracked).hijacked)
}

func (s *conns) wait(ctx context.Context, begin time.Time, which func(*tracked) bool) error {
	for {
		left, next := s.sweep(begin, time.Now(), which)
		if left == 0 {
			return nil
		}
		if err := s.await(ctx, next); err != nil {
			return err
		}
	}
}

// await returns when something changed or the time has come; a zero time never comes.
func (s *conns) await(ctx context.Context, next time.Time) error {
	var due <-chan time.Time
	if !next.IsZero() {
		t := time.NewTimer(time.Until(next))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-s.changed:
	case <-due:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// sweep ends the connections whose time has come, and returns how many are left and when to look again.
func (s *conns) sweep(begin, now time.Time, which func(*tracked) bool) (left int, next time.Time) {
	for _, t := range s.all() {
		if !which(t) {
			continue
		}
		left++
		if due := t.end(begin, now); !due.IsZero() && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	return left, next
}

func (s *conns) all() []*tracked {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*tracked, 0, len(s.live))
	for t := range s.live {
		all = append(all, t)
	}
	return all
}

func (s *conns) closeAll() {
	for _, t := range s.all() {
		t.raw.Close()
	}
}

// setState is the server's ConnState hook.
func (s *conns) setState(nc net.Conn, state http.ConnState) {
	h2 := false
	if c, ok := nc.(*tls.Conn); ok {
		h2 = state == http.StateActive && c.ConnectionState().NegotiatedProtocol == "h2"
		nc = c.NetConn()
	}
	if c, ok := nc.(interface{ unwrap() (net.Conn, *tracked) }); ok {
		_, t := c.unwrap()
		t.enter(state, h2)
	}
}

// rawConn is what tracked needs of a connection.
type rawConn interface {
	net.Conn
	syscall.Conn
}

// tracked is the state of a connection between accept and close.
type tracked struct {
	raw     rawConn
	set     *conns // nil if only the end matters
	release func() // called once, when the connection is closed; may be nil
	once    sync.Once

	mu       sync.Mutex
	state    http.ConnState
	since    time.Time // of state
	begun    bool      // bytes came since then: somebody has begun a request
	h2       bool
	sniffed  bool
	expired  bool      // a drain wants it closed unless a request has come
	deadline time.Time // for reads, as the server wants it
}

func (t *tracked) http1() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.h2 && t.state != http.StateHijacked
}

func (t *tracked) hijacked() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state == http.StateHijacked
}

func (t *tracked) enter(state http.ConnState, h2 bool) {
	t.mu.Lock()
	t.state, t.since, t.h2 = state, time.Now(), t.h2 || h2
	if state == http.StateIdle {
		t.begun = false
	} else {
		t.spare()
	}
	t.mu.Unlock()
	if t.set != nil {
		t.set.wake()
	}
}

// end closes t if it is time, and returns when it will be; zero if that depends on what happens first.
func (t *tracked) end(begin, now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	due := t.due(begin)
	if due.IsZero() || due.After(now) {
		return due
	}
	if t.begun {
		t.raw.Close() // the reader fails and the server closes the rest
		return time.Time{}
	}
	t.expire()
	return time.Time{}
}

// due is when a drain that began at begin ends a connection in this state.
func (t *tracked) due(begin time.Time) time.Time {
	switch {
	case t.expired || t.state == http.StateActive || t.state == http.StateHijacked:
		return time.Time{}
	case t.begun:
		return begin.Add(requestPatience)
	case t.state == http.StateIdle:
		return t.since.Add(hotIdle)
	}
	return t.since.Add(requestPatience)
}

// expire makes the reader look, see read: only the goroutine that reads knows whether a request has come.
func (t *tracked) expire() {
	t.expired = true
	_ = t.raw.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed connection
}

// spare undoes expire, because a request has come.
func (t *tracked) spare() {
	if t.expired {
		t.expired = false
		_ = t.raw.SetReadDeadline(t.deadline)
	}
}

// read is Read of the connection. On an expired connection it reports the end of the stream, unless there are bytes after all.
func (t *tracked) read(b []byte) (int, error) {
	for {
		n, err := t.raw.Read(b)
		if n > 0 {
			t.arrived(b[:n])
			return n, err
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		switch t.reprieve() {
		case spared:
		case ended:
			return 0, io.EOF
		case notExpired:
			return n, err
		}
	}
}

type verdict int

const (
	notExpired verdict = iota
	spared
	ended
)

// reprieve decides about a connection whose read deadline has passed.
func (t *tracked) reprieve() verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.expired:
		return notExpired
	case t.begun || dataPending(t.raw):
		t.spare()
		t.wake()
		return spared
	}
	return ended
}

func (t *tracked) wake() {
	if t.set != nil {
		t.set.wake()
	}
}

func (t *tracked) arrived(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun = true
	if !t.sniffed {
		t.sniffed = true
		t.h2 = t.h2 || hasPreface(b)
	}
	if t.expired {
		t.spare()
		t.wake()
	}
}

// hasPreface recognises HTTP/2 without TLS by its first words.
func hasPreface(b []byte) bool {
	const preface = "PRI * HTTP/2.0\r\n"
	return len(b) >= len(preface) && string(b[:len(preface)]) == preface
}

// setReadDeadline is SetReadDeadline of the connection. While it is expired the server's wish waits.
func (t *tracked) setReadDeadline(d time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deadline = d
	if t.expired {
		return nil
	}
	return t.raw.SetReadDeadline(d)
}

func (t *tracked) setDeadline(d time.Time) error {
	if err := t.raw.SetWriteDeadline(d); err != nil {
		return err
	}
	return t.setReadDeadline(d)
}

// close is Close of the connection.
func (t *tracked) close() error {
	err := t.raw.Close()
	t.once.Do(func() {
		if t.set != nil {
			t.set.remove(t)
		}
		if t.release != nil {
			t.release()
		}
	})
	return err
}

// wrapConn gives nc the behaviour of t. What is special about its type, as sendfile, stays reachable.
func wrapConn(nc net.Conn, t *tracked) net.Conn {
	switch c := nc.(type) {
	case *net.TCPConn:
		t.raw = c
		return &tcpConn{c, t}
	case *net.UnixConn:
		t.raw = c
		return &unixConn{c, t}
	}
	t.set.remove(t)
	return nc
}

// tcpConn is a TCP connection of which we know the state.
type tcpConn struct {
	*net.TCPConn
	t *tracked
}

func (c *tcpConn) Read(b []byte) (int, error)        { return c.t.read(b) }
func (c *tcpConn) Close() error                      { return c.t.close() }
func (c *tcpConn) SetDeadline(d time.Time) error     { return c.t.setDeadline(d) }
func (c *tcpConn) SetReadDeadline(d time.Time) error { return c.t.setReadDeadline(d) }
func (c *tcpConn) unwrap() (net.Conn, *tracked)      { return c.TCPConn, c.t }

// unixConn is a unix connection of which we know the state.
type unixConn struct {
	*net.UnixConn
	t *tracked
}

func (c *unixConn) Read(b []byte) (int, error)        { return c.t.read(b) }
func (c *unixConn) Close() error                      { return c.t.close() }
func (c *unixConn) SetDeadline(d time.Time) error     { return c.t.setDeadline(d) }
func (c *unixConn) SetReadDeadline(d time.Time) error { return c.t.setReadDeadline(d) }
func (c *unixConn) unwrap() (net.Conn, *tracked)      { return c.UnixConn, c.t }
