//go:build !linux

package sock

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// newFD opens a close-on-exec socket. The fork lock keeps a process that is forked meanwhile from inheriting it.
func newFD(domain, typ int, nonblock bool) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socket(domain, typ, 0)
	if err != nil {
		return -1, err
	}
	return settle(fd, nonblock)
}

func accept(fd int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	conn, _, err := unix.Accept(fd)
	if err != nil {
		return -1, err
	}
	return settle(conn, true)
}

func settle(fd int, nonblock bool) (int, error) {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, nonblock); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
