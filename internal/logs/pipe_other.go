//go:build !linux

package logs

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pipe makes the pipe for one stream of a worker. The read end is for Pump, which closes it. The write end is a bare file
// descriptor for the program: blocking, as programs expect, and close-on-exec; the caller closes its copy once the worker has been
// started.
func Pipe() (r *Reader, w int, err error) {
	var fds [2]int
	syscall.ForkLock.RLock() // no fork may see the ends before they close on exec
	err = unix.Pipe(fds[:])
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, -1, fmt.Errorf("make log pipe: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
		return nil, -1, fmt.Errorf("make log pipe: %w", err)
	}
	return NewReader(fds[0]), fds[1], nil
}

// pipeRoom is how much fits into a pipe.
func pipeRoom(syscall.RawConn) int { return 16 << 10 }

// maxPipe is what a pipe grows to.
const maxPipe = 0

func growPipe(conn syscall.RawConn, _ int) int { return pipeRoom(conn) }
