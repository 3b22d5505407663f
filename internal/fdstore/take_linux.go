package fdstore

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Cookie is the number of a socket, which no other has until the machine is started anew (SO_COOKIE of socket(7)).
func Cookie(fd int) (uint64, error) {
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	return cookie, os.NewSyscallError("getsockopt", err)
}

// Take returns a copy of a socket that another process has open under the number fd, if it still is the socket with that cookie. It needs the
// permission to trace the process (PTRACE_MODE_ATTACH_REALCREDS of ptrace(2)), and Linux 5.6. The caller closes the copy.
func Take(pidfd, fd int, cookie uint64) (int, error) {
	mine, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		return -1, os.NewSyscallError("pidfd_getfd", err)
	}
	unix.CloseOnExec(mine)
	is, err := Cookie(mine)
	if err == nil && is != cookie {
		err = fmt.Errorf("the process has something else open as %d: %w", fd, unix.EBADF)
	}
	if err != nil {
		_ = unix.Close(mine)
		return -1, err
	}
	return mine, nil
}
