package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

// client is one of the concurrent clients. It has at most one connection.
type client struct {
	opts    Options
	request []byte
	dialer  net.Dialer
	conn    net.Conn // nil between requests on new connections, and after a failure; closed by drop
	read    *counter
	br      *bufio.Reader
	ended   time.Time // when the last response was complete
	seen    *Result
}

func newClient(o Options) *client {
	connection := "keep-alive"
	if o.NewConnPerRequest {
		connection = "close"
	}
	req := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\n\r\n", o.Path, o.Host, connection)
	return &client{opts: o, request: []byte(req), read: &counter{}, br: bufio.NewReader(nil), seen: newResult()}
}

// ask makes one request and records how it ended. A request that ctx cut short is not recorded.
func (c *client) ask(ctx context.Context) {
	start := time.Now()
	deadline := start.Add(c.opts.Timeout)
	resp, local, err := c.attempt(ctx, deadline)
	if err != nil && ctx.Err() != nil {
		return
	}
	if err != nil {
		c.fail(classify(err, c.read.n > 0), local, err.Error())
		return
	}
	c.answered(start, c.ended.Sub(start), local, resp)
}

// attempt sends the request, a second time on a new connection if the first was an idle one that turned out to be closed.
func (c *client) attempt(ctx context.Context, deadline time.Time) (response, string, error) {
	reused := c.conn != nil
	resp, local, err := c.once(ctx, deadline)
	if err == nil || !reused || c.opts.NoRetry || !staleConn(err, c.read.n) {
		return resp, local, err
	}
	c.seen.Retried++
	return c.once(ctx, deadline)
}

// staleConn tells whether err is what a connection gives that the server closed between two requests.
func staleConn(err error, read int) bool {
	k := classify(err, read > 0)
	return k == Reset || k == EOF
}

func (c *client) once(ctx context.Context, deadline time.Time) (resp response, local string, err error) {
	c.read.n = 0
	if err := c.connect(ctx, deadline); err != nil {
		return response{}, "", err
	}
	local = c.conn.LocalAddr().String()
	stop := context.AfterFunc(ctx, c.interrupt(c.conn))
	defer stop()
	resp, err = c.exchange(deadline)
	c.ended = time.Now()
	switch {
	case err != nil:
		c.drop()
	case resp.closes || c.opts.NewConnPerRequest:
		c.awaitClose(deadline)
	}
	return resp, local, err
}

// interrupt returns a function that fails every operation on conn at once.
func (c *client) interrupt(conn net.Conn) func() {
	return func() { _ = conn.SetDeadline(time.Unix(1, 0)) }
}

func (c *client) connect(ctx context.Context, deadline time.Time) error {
	if c.conn != nil {
		return nil
	}
	c.dialer.Deadline = deadline
	conn, err := c.dialer.DialContext(ctx, c.opts.Network, c.opts.Addr)
	if err != nil {
		return err
	}
	c.seen.Connections++
	c.conn = conn
	c.read.r = conn
	c.br.Reset(c.read)
	return nil
}

func (c *client) exchange(deadline time.Time) (response, error) {
	if err := c.conn.SetDeadline(deadline); err != nil {
		return response{}, err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return c.lastWords(err)
	}
	return readResponse(c.br)
}

// lastWords reads the response that a server may have sent before it closed its side to our request.
func (c *client) lastWords(writeErr error) (response, error) {
	resp, err := readResponse(c.br)
	if err != nil {
		return response{}, writeErr
	}
	return resp, nil
}

// awaitClose lets the server close first, so that the port is free for the next connection, but waits no longer than a second.
func (c *client) awaitClose(deadline time.Time) {
	if soon := time.Now().Add(time.Second); soon.Before(deadline) {
		deadline = soon
	}
	_ = c.conn.SetReadDeadline(deadline)
	_, _ = io.Copy(io.Discard, c.br)
	c.drop()
}

// drop closes the connection if there is one.
func (c *client) drop() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *client) answered(start time.Time, took time.Duration, local string, resp response) {
	c.seen.Latency.Add(took)
	c.seen.Statuses[resp.status]++
	if resp.pid != 0 {
		c.seen.ByPID[resp.pid]++
	}
	if took > c.opts.SlowAfter && len(c.seen.Slow) < kept {
		c.seen.Slow = append(c.seen.Slow, Slow{At: start, Took: took, PID: resp.pid})
	}
	if resp.status < 200 || resp.status > 399 {
		c.fail(BadStatus, local, fmt.Sprintf("status %d", resp.status))
		return
	}
	c.seen.Requests++
	c.seen.OK++
}

func (c *client) fail(k Kind, local, text string) {
	c.seen.Requests++
	if k == Other {
		c.seen.Other[text]++
	} else {
		*c.seen.count(k)++
	}
	if len(c.seen.Failures) < kept {
		c.seen.Failures = append(c.seen.Failures, Failure{At: time.Now(), Kind: k, Local: local, Err: text})
	}
}

// counter counts the bytes read of the response at hand.
type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}
