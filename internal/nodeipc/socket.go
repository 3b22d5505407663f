package nodeipc

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// socket is what a descriptor turned out to be.
type socket struct {
	dgram bool
	unix  bool
}

// kind is Deno's word for a stream socket.
func (s socket) kind() string {
	if s.unix {
		return "pipe"
	}
	return "tcp"
}

// inspect refuses every descriptor but a stream socket over IP or unix and a datagram socket over IP. Node aborts on a file or a terminal, and
// after one of an unknown sort its channel takes no handle any more.
func inspect(fd int) (socket, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return socket{}, fmt.Errorf("inspect descriptor %d: %w: %w", fd, ErrHandle, err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return socket{}, fmt.Errorf("inspect descriptor %d: %w: %w", fd, ErrHandle, err)
	}
	s := socket{dgram: kind == unix.SOCK_DGRAM, unix: isUnix(name)}
	if !s.allowed(kind, name) {
		return socket{}, fmt.Errorf("inspect descriptor %d: %w", fd, ErrHandle)
	}
	return s, nil
}

func (s socket) allowed(kind int, name unix.Sockaddr) bool {
	if kind == unix.SOCK_STREAM {
		return s.unix || isIP(name)
	}
	return s.dgram && isIP(name)
}

func isUnix(name unix.Sockaddr) bool {
	_, ok := name.(*unix.SockaddrUnix)
	return ok
}

func isIP(name unix.Sockaddr) bool {
	switch name.(type) {
	case *unix.SockaddrInet4, *unix.SockaddrInet6:
		return true
	}
	return false
}

// take returns a duplicate of fd for the channel to own, in non-blocking mode. The mode belongs to the open file description, so fd gets it
// too; a listener that stays blocking would wedge the worker.
func take(fd int) (int, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("duplicate descriptor %d: %w", fd, err)
	}
	if err := unix.SetNonblock(dup, true); err != nil {
		unix.Close(dup)
		return -1, fmt.Errorf("make descriptor %d non-blocking: %w", fd, err)
	}
	return dup, nil
}
