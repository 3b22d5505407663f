package daemon

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// socketPair makes a near end for this process, and a far one that a child inherits.
func socketPair() (near *os.File, far int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, -1, os.NewSyscallError("socketpair", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // under Go's poller
		return nil, -1, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "master"), fds[1], nil
}
