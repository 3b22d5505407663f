//go:build !linux

package fdpass

import (
	"errors"
	"syscall"
)

// markCloseOnExec does it late, for want of MSG_CMSG_CLOEXEC.
func markCloseOnExec(fds []int) {
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
	}
}

// Memfd is errors.ErrUnsupported outside Linux.
func Memfd(string, []byte) (int, error) { return -1, errors.ErrUnsupported }

// ReadMemfd is errors.ErrUnsupported outside Linux.
func ReadMemfd(int) ([]byte, error) { return nil, errors.ErrUnsupported }
