package nodeipc

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// write is the Conn's one writer. It ends when the outbox is stopped, or when the worker has closed its end.
func (c *Conn) write() {
	defer close(c.written)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		f, wait := c.out.next(time.Now())
		if f == nil || wait > 0 {
			if !c.pause(timer, wait) {
				return
			}
			continue
		}
		if !c.deliver(f) {
			c.out.stop()
			return
		}
	}
}

// pause waits for a change, and for the time wait if that is not 0. It reports false when the outbox is stopped.
func (c *Conn) pause(timer *time.Timer, wait time.Duration) bool {
	var due <-chan time.Time
	if wait > 0 {
		timer.Reset(wait)
		due = timer.C
	}
	select {
	case <-c.out.stopped:
		return false
	case <-c.out.wake:
	case <-due:
	}
	return true
}

// deliver writes f to its end, or puts it off. It reports false when the channel is of no more use.
func (c *Conn) deliver(f *outbound) bool {
	err := c.transmit(f)
	switch {
	case err == nil:
		c.out.wrote()
	case isCrowded(err):
		c.out.postpone(time.Now())
	default:
		return false
	}
	return true
}

// transmit writes the rest of f. The descriptor goes along with the first byte and with nothing else.
func (c *Conn) transmit(f *outbound) error {
	for f.off < len(f.data) {
		var n int
		var sent error
		err := c.raw.Write(func(fd uintptr) bool {
			n, sent = send(int(fd), f.data[f.off:], f.rights())
			return !errors.Is(sent, unix.EAGAIN)
		})
		if err := errors.Join(err, sent); err != nil {
			return err
		}
		f.off += n
	}
	return nil
}

// rights returns the control message for the next bytes of f.
func (f *outbound) rights() []byte {
	if f.fd < 0 || f.off > 0 {
		return nil
	}
	return unix.UnixRights(f.fd)
}

func send(fd int, p, oob []byte) (int, error) {
	for {
		n, err := unix.SendmsgN(fd, p, oob, nil, 0)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// isCrowded tells whether the kernel may take the same record later: too many descriptors are under way, or memory is short.
func isCrowded(err error) bool {
	return errors.Is(err, unix.ETOOMANYREFS) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
}
