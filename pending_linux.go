package muster

import (
	"net"
	"syscall"
	"unsafe"
)

// pollFD is the kernel's struct pollfd.
type pollFD struct {
	fd              int32
	events, revents int16
}

const pollIn = 1

// connectionPending reports whether a connection waits in the listener's queue. It leaves it there.
func connectionPending(l net.Listener) bool {
	c, ok := l.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var pending bool
	err = raw.Control(func(fd uintptr) {
		p := pollFD{fd: int32(fd), events: pollIn}
		var now syscall.Timespec
		n, _, _ := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
		pending = n == 1 && p.revents&pollIn != 0
	})
	return err == nil && pending
}
