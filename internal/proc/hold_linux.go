package proc

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Hold keeps every process of ours, and every stranger, from being reaped until release is called: what ends meanwhile stays for the program
// after an execve. No process can be started either.
func Hold() (release func()) {
	children.mu.Lock()
	return children.mu.Unlock
}

// Gone reports whether the process was ours and has been reaped: its Wait returns, or has returned. While [Hold] lasts the answer stands.
func (p *Process) Gone() bool {
	if !p.child {
		return false
	}
	err := control(p.file, func(fd int) error {
		_, err := waitid(unix.P_PIDFD, fd, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT)
		return err
	})
	return errors.Is(err, unix.ECHILD)
}
