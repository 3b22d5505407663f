package logs

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// pipeSize is what a worker may write ahead of its pump in bytes, to begin with. More would soon reach the limit that the kernel sets a user
// without privileges (pipe-user-pages-soft, 64 MiB in all), beyond which new pipes shrink to 8 KiB.
const pipeSize = 256 << 10

// Pipe makes the pipe for one stream of a worker. The read end is for Pump, which closes it. The write end is a bare file
// descriptor for the program: blocking, as programs expect, and close-on-exec; the caller closes its copy once the worker has been
// started.
func Pipe() (r *Reader, w int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, -1, fmt.Errorf("make log pipe: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
		return nil, -1, fmt.Errorf("make log pipe: %w", err)
	}
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize) // the default size does, too
	return NewReader(fds[0]), fds[1], nil
}

// pipeRoom is how much fits into a pipe.
func pipeRoom(conn syscall.RawConn) int {
	room := 0
	_ = conn.Control(func(fd uintptr) { room, _ = unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0) })
	return max(room, smallestPipe)
}

// maxPipe is what a pipe grows to; the kernel allows no more to users without privileges.
const maxPipe = 1 << 20

// growPipe makes a pipe larger, and returns how much fits into it then.
func growPipe(conn syscall.RawConn, size int) int {
	_ = conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, size) })
	return pipeRoom(conn)
}

// smallestPipe is what the kernel gives a user who has many.
const smallestPipe = 4 << 10
