package rundir

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// Owner is the process that listens on a unix socket: its number, and a pidfd that the caller closes.
func Owner(socket string) (pid, pidfd int, err error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return 0, -1, err
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, -1, err
	}
	pidfd = -1
	var asked error
	err = raw.Control(func(fd uintptr) { pid, pidfd, asked = ownerOf(int(fd)) })
	return pid, pidfd, errors.Join(err, asked)
}

func ownerOf(fd int) (pid, pidfd int, err error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, -1, err
	}
	if cred.Pid <= 0 { // of another PID namespace
		return 0, -1, errors.New("the process is in another PID namespace")
	}
	pidfd, err = unix.PidfdOpen(int(cred.Pid), 0)
	return int(cred.Pid), pidfd, err
}
