package muster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// The limits of the channel: a master that breaks them loses it.
const (
	maxFrame      = 16 << 20         // bytes of one record; Node itself has no limit below that of a string
	maxStray      = 64               // descriptors that arrived and belong to no record yet
	readSize      = 64 << 10         // Node's own read size
	controlSize   = 512              // room for the control message of 64 descriptors
	writePatience = 10 * time.Second // a master that does not read for so long, with a full buffer, is gone
)

// channel is one end of Node's IPC channel in its json form: one JSON value per line, descriptors by SCM_RIGHTS.
//
// A descriptor belongs to the record whose first byte it arrived with, and only NODE_HANDLE records have one. The kernel
// glues records without descriptors in front of one that has one, so the receiver keeps a queue of descriptors and
// gives the oldest to the next NODE_HANDLE record.
type channel struct {
	conn *net.UnixConn // owned; closed by close

	wmu sync.Mutex // one record at a time

	// Of the reading goroutine alone.
	buf   []byte // an unfinished record
	stray []int  // received and not yet claimed; closed when the channel ends
}

// openChannel takes over the descriptor of the channel; it is closed also on error.
func openChannel(fd int) (*channel, error) {
	if kindOf(fd) != streamSocket {
		return nil, fmt.Errorf("descriptor %d is not a stream socket", fd)
	}
	c, err := fileConn(fd)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("descriptor %d is not a unix socket", fd)
	}
	return &channel{conn: u}, nil
}

// send writes v as one record. It is safe for concurrent use. There is no error to act on: if the master is gone, receive
// finds out; if it does not read, or half a record may be on the wire, send ends the channel.
func (c *channel) send(v any) {
	record, err := json.Marshal(v)
	if err != nil {
		panic(err) // v is always one of our own types
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(writePatience)) // fails only if the channel is closed, and then so does Write
	if _, err = c.conn.Write(append(record, '\n')); errors.Is(err, os.ErrDeadlineExceeded) {
		c.close()
	}
}

// receive calls handle for every record until the channel ends. takeFD returns the oldest descriptor
// that no record has claimed, which is then the caller's, or -1. receive returns nil at the end of the stream.
func (c *channel) receive(handle func(record []byte, takeFD func() int)) error {
	defer c.dropStray()
	data, oob := make([]byte, readSize), make([]byte, controlSize)
	for {
		n, oobn, _, _, err := c.conn.ReadMsgUnix(data, oob)
		c.stray = append(c.stray, receivedFDs(oob[:oobn])...)
		if n > 0 {
			c.split(data[:n], handle)
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || (err == nil && n == 0):
			return nil
		case err != nil:
			return err
		case len(c.buf) > maxFrame:
			return fmt.Errorf("record longer than %d bytes", maxFrame)
		case len(c.stray) > maxStray:
			return fmt.Errorf("more than %d descriptors without a record", maxStray)
		}
	}
}

// split hands out the records that data completes and keeps the rest.
func (c *channel) split(data []byte, handle func([]byte, func() int)) {
	for {
		line, rest, found := bytes.Cut(data, []byte{'\n'})
		if !found {
			c.buf = append(c.buf, data...)
			return
		}
		record := line
		if len(c.buf) > 0 {
			record = append(c.buf, line...)
			c.buf = nil
		}
		handle(record, c.takeFD)
		data = rest
	}
}

func (c *channel) takeFD() int {
	if len(c.stray) == 0 {
		return -1
	}
	fd := c.stray[0]
	c.stray = c.stray[1:]
	return fd
}

func (c *channel) dropStray() {
	for _, fd := range c.stray {
		closeFD(fd)
	}
	c.stray = nil
}

func (c *channel) close() { _ = c.conn.Close() }
