// Package fdpass passes open descriptors over unix sockets, and keeps small documents in sealed memory files so that they can be
// passed in the same way.
package fdpass

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// MaxFDs is how many descriptors one message can carry: SCM_MAX_FD of Linux.
const MaxFDs = 253

var (
	// ErrTooMany says that a message was given more than MaxFDs descriptors; nothing was sent.
	ErrTooMany = fmt.Errorf("more than %d descriptors in one message", MaxFDs)
	// ErrTruncated says that a part of a message was lost: the buffer was too small, or this process may not open so many
	// descriptors. Those that did arrive were closed.
	ErrTruncated = errors.New("message was truncated")
)

// Conn makes a connection of a raw descriptor of a unix socket and takes it over: fd is closed, on errors too. The description
// becomes non-blocking, for every process that shares it.
func Conn(fd int, name string) (*net.UnixConn, error) {
	file := os.NewFile(uintptr(fd), name)
	if file == nil {
		return nil, fmt.Errorf("open connection %s: descriptor %d: %w", name, fd, syscall.EBADF)
	}
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("open connection %s: %w", name, err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("open connection %s: not a unix socket", name)
	}
	return u, nil
}

// Send writes data with duplicates of fds as one message. The caller keeps fds. On a stream the descriptors travel with the first byte,
// so data must not be empty then. One goroutine may send on a connection at a time.
func Send(c *net.UnixConn, data []byte, fds ...int) error {
	if len(fds) > MaxFDs {
		return ErrTooMany
	}
	if len(fds) > 0 && len(data) == 0 {
		return fmt.Errorf("send %d descriptors: a message without data: %w", len(fds), syscall.EINVAL)
	}
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	n, _, err := c.WriteMsgUnix(data, rights, nil)
	if err != nil {
		return fmt.Errorf("send message with %d descriptors: %w", len(fds), err)
	}
	if n < len(data) { // a stream took only a part; the descriptors went with it
		if _, err := c.Write(data[n:]); err != nil {
			return fmt.Errorf("send the rest of a message: %w", err)
		}
	}
	return nil
}

// Recv reads one message (on a stream: what is there, up to the next descriptors) into buf and returns its length and its descriptors,
// close-on-exec, which the caller closes. The end of a stream is io.EOF. On every error no descriptor stays open.
func Recv(c *net.UnixConn, buf []byte) (n int, fds []int, err error) {
	// Room for the sender's credentials too, in case the socket asks for them.
	oob := make([]byte, syscall.CmsgSpace(MaxFDs*4)+syscall.CmsgSpace(64))
	n, oobn, flags, _, err := c.ReadMsgUnix(buf, oob)
	if errors.Is(err, io.EOF) {
		return 0, nil, io.EOF
	}
	if err != nil {
		return 0, nil, fmt.Errorf("receive message: %w", err)
	}
	fds, err = rights(oob[:oobn])
	if err == nil && flags&(syscall.MSG_CTRUNC|syscall.MSG_TRUNC) != 0 {
		err = ErrTruncated
	}
	if err != nil {
		closeAll(fds)
		return 0, nil, fmt.Errorf("receive message: %w", err)
	}
	markCloseOnExec(fds)
	return n, fds, nil
}

// rights collects the descriptors of all control messages. On error it returns those that it found.
func rights(oob []byte) ([]int, error) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var fds []int
	for _, m := range messages {
		if m.Header.Level != syscall.SOL_SOCKET || m.Header.Type != syscall.SCM_RIGHTS {
			continue
		}
		some, err := syscall.ParseUnixRights(&m)
		if err != nil {
			return fds, err
		}
		fds = append(fds, some...)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		syscall.Close(fd)
	}
}
