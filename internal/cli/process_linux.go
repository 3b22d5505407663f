package cli

import (
	"context"
	"time"

	"github.com/musterd/muster/internal/rundir"
	"golang.org/x/sys/unix"
)

// process is the one behind a socket, so that its end can be waited for.
type process struct{ pidfd int } // -1: not known

// watchProcess takes hold of the process that listens on the socket.
func watchProcess(socket string) process {
	_, pidfd, err := rundir.Owner(socket)
	if err != nil {
		return process{pidfd: -1}
	}
	return process{pidfd}
}

// gone waits for the end of the process. Where it is not known, the end of its connections has to do.
func (p process) gone(ctx context.Context) error {
	for p.pidfd >= 0 {
		wait := -1
		if deadline, ok := ctx.Deadline(); ok {
			wait = int(max(0, time.Until(deadline)) / time.Millisecond)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}, wait)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil || n > 0:
			return err
		}
		return context.DeadlineExceeded
	}
	return nil
}

func (p process) close() {
	if p.pidfd >= 0 {
		_ = unix.Close(p.pidfd)
	}
}
