//go:build unix && !linux

package nodeipc

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const receiveFlags = 0

// socketpair holds off forks until both ends close on exec.
func socketpair() ([2]int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		closeOnExec(ends[:])
	}
	return ends, err
}

func raiseBuffers(fd, n int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, n) // a smaller buffer serves too
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n)
}

func closeOnExec(fds []int) {
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
}
