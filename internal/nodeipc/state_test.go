package nodeipc

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// carryOn detaches c and goes on with what an exec would leave: the descriptors and the State as JSON.
func carryOn(t testing.TB, c *Conn, opts Options) *Conn {
	t.Helper()
	fd, state, err := c.Detach()
	if err != nil {
		t.Fatal(err)
	}
	expectEnd(t, c, ErrClosed)
	if err := c.Send(1); !errors.Is(err, ErrClosed) {
		t.Errorf("send on a detached channel: %v", err)
	}
	wire, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	var read State
	if err := json.Unmarshal(wire, &read); err != nil {
		t.Fatal(err)
	}
	opts.State = &read
	next, err := New(fd, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Close() })
	return next
}

func TestDetachKeepsWhatWasRead(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	fd, _ := listenerFD(t)
	p.write("1\n2\n")
	p.write(`{"cmd":"NODE_HANDLE","type":"net.Server","msg":"th`, fd)
	expectEvent(t, c, user("1"))
	c = carryOn(t, c, Options{})
	expectEvent(t, c, user("2"))
	p.write("ree\"}\n")
	m := receiveA[Message](t, c)
	defer unix.Close(m.FD)
	if string(m.Raw) != `"three"` || !sameSocket(t, m.FD, fd) {
		t.Errorf("message %+v", m)
	}
	carryOn(t, c, Options{})
	p.expect(ack)
}

func TestDetachKeepsWhatWasNotWritten(t *testing.T) {
	t.Parallel()
	opts := Options{MaxHandles: 1}
	c, p := pair(t, opts)
	fd, port := listenerFD(t)
	if err := errors.Join(c.AnswerHandle(query(1, port), "k", nil, fd), c.SendServer("server", fd), c.Send("end")); err != nil {
		t.Fatal(err)
	}
	first := p.read()
	c = carryOn(t, c, opts)
	if err := c.AnswerHandle(query(1, port), "k", nil, fd); !errors.Is(err, ErrKey) {
		t.Errorf("key is forgotten: %v", err)
	}
	p.write(nack + "\n1\n")
	expectEvent(t, c, user("1"))
	c = carryOn(t, c, opts)
	p.expect(first)
	p.write(ack + "\n")
	expectEvent(t, c, HandleAck{Key: "k"})
	p.expect(`{"cmd":"NODE_HANDLE","type":"net.Server","msg":"server"}`, `"end"`)
	if err := c.Disconnect(); err != nil {
		t.Fatal(err)
	}
	p.expect(`{"cmd":"NODE_CLUSTER","act":"disconnect","seq":2}`)
	if len(p.fds) != 3 {
		t.Errorf("%d descriptors", len(p.fds))
	}
}

func TestDetachInTheMiddleOfARecord(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{MaxQueue: 8 << 20})
	fd, _ := listenerFD(t)
	long := strings.Repeat("x", 3<<20)
	if err := errors.Join(c.SendServer(long, fd), c.Send("end")); err != nil {
		t.Fatal(err)
	}
	p.more() // the record is under way
	p.write(handleOf("1") + "\n2\n")
	expectEvent(t, c, user("2"))
	c = carryOn(t, c, Options{})
	p.expect(`{"cmd":"NODE_HANDLE","type":"net.Server","msg":"`+long+`"}`, nack, `"end"`)
	p.write(ack + "\n")
	expectEvent(t, c, HandleAck{Server: true})
	if len(p.fds) != 1 || !sameSocket(t, p.fds[0], fd) {
		t.Errorf("descriptors %v", p.fds)
	}
}

func TestDetachWakesReceive(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	got := make(chan error)
	go func() {
		_, err := c.Receive()
		got <- err
	}()
	next := carryOn(t, c, Options{})
	if err := <-got; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	p.write("1\n")
	expectEvent(t, next, user("1"))
}

func TestDetachAtTheEnd(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	p.close()
	expectEnd(t, c, io.EOF)
	if _, _, err := c.Detach(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	c.Close()
	if _, _, err := c.Detach(); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestReleaseState(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	sent, sentClosed := owned(t)
	defer unix.Close(sent)
	p.write("1\n[", sent)
	expectEvent(t, c, user("1"))
	tcp, _ := listenerFD(t)
	if err := c.SendServer("server", tcp); err != nil {
		t.Fatal(err)
	}
	fd, state, err := c.Detach()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if len(state.FDs()) != 2 {
		t.Errorf("descriptors %v", state.FDs())
	}
	if sentClosed() {
		t.Error("closed too early")
	}
	state.Release()
}
