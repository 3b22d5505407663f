package nodeipc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Receive returns the next event. At the end of the channel it first returns a HandleLost for each handle that was not acknowledged, then
// always the same error: io.EOF when the worker closed its end or died, ErrClosed after Close or Detach, a *ProtocolError, or the kernel's.
func (c *Conn) Receive() (Event, error) {
	c.inMu.Lock()
	defer c.inMu.Unlock()
	for {
		if len(c.lost) > 0 {
			return HandleLost(pop(&c.lost)), nil
		}
		if c.end != nil {
			return nil, c.end
		}
		ev, err := c.step()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded): // Detach
			return nil, ErrClosed
		case err != nil:
			c.finish(err)
		case ev != nil:
			return ev, nil
		}
	}
}

// step takes one record, or reads more.
func (c *Conn) step() (Event, error) {
	record, ok, err := c.in.record()
	switch {
	case err != nil:
		return nil, err
	case ok:
		return c.dispatch(record)
	}
	return nil, c.fill()
}

// fill waits for bytes and takes them in.
func (c *Conn) fill() error {
	var n int
	var fds []int
	var got error
	room := c.in.room()
	err := c.raw.Read(func(fd uintptr) bool {
		n, fds, got = receive(int(fd), room, c.oob)
		return !errors.Is(got, unix.EAGAIN)
	})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case err != nil:
		return ErrClosed
	case errors.Is(got, unix.ECONNRESET): // the worker died with our records unread
		return io.EOF
	case got != nil:
		return fmt.Errorf("read node channel: %w", got)
	case n == 0:
		return io.EOF
	}
	return c.in.arrived(n, fds)
}

func receive(fd int, p, oob []byte) (int, []int, error) {
	for {
		n, oobn, flags, _, err := unix.Recvmsg(fd, p, oob, receiveFlags)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		return n, rights(oob[:oobn], flags&unix.MSG_CTRUNC != 0), nil
	}
}

// dispatch does what a record asks of the channel itself, and returns its event if it has one.
func (c *Conn) dispatch(record []byte) (Event, error) {
	got, err := decode(record)
	if err != nil {
		return nil, c.forgive(err)
	}
	c.first = false
	switch r := got.(type) {
	case ackRecord:
		return c.settle(r, record)
	case handleRecord:
		return c.handle(r, record)
	case socketCountRecord:
		none := 0
		c.reply(socketAnswer{Cmd: "NODE_SOCKET_COUNT", Key: r.key, Count: &none})
	case socketClosedRecord:
		c.reply(socketAnswer{Cmd: "NODE_SOCKET_ALL_CLOSED", Key: r.key})
	case Listening:
		r.Listener = c.keys.answering(r.Query)
		return r, nil
	case Closed:
		c.keys.remove(r.Key)
		return r, nil
	case Event:
		return r, nil
	}
	return nil, nil
}

// forgive lets the rest of a record pass whose beginning another process has read.
func (c *Conn) forgive(err error) error {
	if c.adopted && c.first {
		c.first = false
		return nil
	}
	return err
}

// settle takes the worker's answer to the oldest handle.
func (c *Conn) settle(r ackRecord, record []byte) (Event, error) {
	var ref HandleAck
	var lost, known bool
	if r.held {
		ref, known = c.out.acked()
	} else {
		ref, lost, known = c.out.nacked(time.Now())
	}
	switch {
	case !known && c.adopted:
		return nil, nil
	case !known:
		return nil, violation("acknowledgement of nothing", record)
	case ref.ofPing():
		return Accepted{Seq: ref.Seq}, nil
	case lost:
		c.keys.drop(ref)
		return HandleLost(ref), nil
	case r.held:
		return ref, nil
	}
	return nil, nil
}

// handle answers a handle from the worker, which sends nothing more until then, and hands it up if it came with a user's message.
func (c *Conn) handle(r handleRecord, record []byte) (Event, error) {
	fd, ok := c.in.handle()
	if !c.out.owe(ok) {
		closeFD(fd)
		return nil, violation("handles came without waiting for acknowledgements", record)
	}
	if ok && r.msg != nil {
		return Message{Raw: r.msg, FD: fd, Type: r.kind}, nil
	}
	closeFD(fd)
	return nil, nil
}

// reply answers the worker's question about the sockets it sent: there are none, for whoever takes one tells nobody when it ends. Without an
// answer the worker's server would never finish closing. A worker that does not read gets none.
func (c *Conn) reply(v socketAnswer) {
	if b, err := line(v); err == nil {
		_ = c.out.push(&outbound{data: b, fd: -1})
	}
}

func closeFD(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}
