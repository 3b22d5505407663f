package nodeipc

import (
	"encoding/json"
	"fmt"
	"syscall"
)

// Send sends a message to the program, which gets it by process.on("message"). It may be any JSON value.
func (c *Conn) Send(msg any) error {
	b, err := userLine(msg)
	if err != nil {
		return err
	}
	return c.out.push(&outbound{data: b, fd: -1})
}

// SendServer sends a message with the listening stream socket fd, which the program gets as a net.Server that accepts already. The caller
// keeps fd, in non-blocking mode.
func (c *Conn) SendServer(msg any, fd int) error {
	s, err := inspect(fd)
	if err != nil {
		return err
	}
	if s.dgram {
		return fmt.Errorf("send descriptor %d as a server: %w", fd, ErrHandle)
	}
	inner, err := userLine(msg)
	if err != nil {
		return err
	}
	b, err := line(envelope{Cmd: "NODE_HANDLE", Type: typeServer, Msg: json.RawMessage(inner)})
	if err != nil {
		return err
	}
	return c.pushHandle(b, fd, HandleAck{Server: true})
}

// AnswerHandle answers q with the socket fd, on which the worker listens and accepts by itself. The caller keeps fd, in non-blocking mode. Where q asks
// for a port, fd must be bound to it, else the worker's listen fails with EADDRINUSE. Data is what the first worker of this listener sent as
// its query's data, or nil for q's own. Key must not be in use by another listener of the worker, else ErrKey; it is free again after Closed.
func (c *Conn) AnswerHandle(q Query, key string, data json.RawMessage, fd int) error {
	s, err := inspect(fd)
	if err != nil {
		return err
	}
	if s.dgram != q.Type.UDP() {
		return fmt.Errorf("answer query for %s with descriptor %d: %w", q.Tuple(), fd, ErrHandle)
	}
	if !c.keys.add(key, q) {
		return fmt.Errorf("answer query for %s: %w", q.Tuple(), ErrKey)
	}
	_, err = c.pushNumbered(fd, func(seq int64) (any, HandleAck) {
		return wrap(listenerAnswer(q, key, data, seq), s, socketTypeServer), HandleAck{Key: key}
	})
	if err != nil {
		c.keys.remove(key)
	}
	return err
}

// AnswerError answers q with a failure, which the program sees as its server's error event. Zero is sent as EINVAL.
func (c *Conn) AnswerError(q Query, key string, errno syscall.Errno) error {
	_, err := c.pushNumbered(-1, func(seq int64) (any, HandleAck) {
		return errorAnswer(q, key, errno, seq), HandleAck{}
	})
	return err
}

// NewConn gives the worker a connection accepted for its listener key, and returns the number that its answer Accepted will have. The caller
// keeps fd until then: a worker that closes the listener meanwhile refuses, one that dies does not answer.
func (c *Conn) NewConn(key string, fd int) (int64, error) {
	s, err := inspect(fd)
	if err != nil {
		return 0, err
	}
	if s.dgram {
		return 0, fmt.Errorf("hand over connection %d: %w", fd, ErrHandle)
	}
	return c.pushNumbered(fd, func(seq int64) (any, HandleAck) {
		return wrap(act{Cmd: "NODE_CLUSTER", Act: "newconn", Key: key, Seq: seq}, s, socketTypeConn), HandleAck{Key: key, Seq: seq}
	})
}

// Disconnect asks a cluster worker to close its servers, and then the channel. It exits when nothing else keeps it; give it a deadline, for an open
// connection may keep it for ever.
func (c *Conn) Disconnect() error {
	_, err := c.pushNumbered(-1, func(seq int64) (any, HandleAck) {
		return act{Cmd: "NODE_CLUSTER", Act: "disconnect", Seq: seq}, HandleAck{}
	})
	return err
}

// AnswerExit lets a worker go that asked with ExitedAfterDisconnect.
func (c *Conn) AnswerExit(question json.Number) error {
	_, err := c.pushNumbered(-1, func(seq int64) (any, HandleAck) {
		return exitAnswer{Cmd: "NODE_CLUSTER", Ack: question, Seq: seq}, HandleAck{}
	})
	return err
}

// pushNumbered queues the record that build returns for the next number, with a duplicate of fd unless that is -1.
func (c *Conn) pushNumbered(fd int, build func(seq int64) (any, HandleAck)) (int64, error) {
	c.seqMu.Lock()
	defer c.seqMu.Unlock()
	msg, ref := build(c.seq)
	b, err := line(msg)
	if err != nil {
		return 0, err
	}
	if err := c.pushHandle(b, fd, ref); err != nil {
		return 0, err
	}
	c.seq++
	return c.seq - 1, nil
}

func (c *Conn) pushHandle(b []byte, fd int, ref HandleAck) error {
	f := &outbound{data: b, fd: -1, ref: ref}
	if fd >= 0 {
		dup, err := take(fd)
		if err != nil {
			return err
		}
		f.fd = dup
	}
	if err := c.out.push(f); err != nil {
		f.release()
		return err
	}
	return nil
}
