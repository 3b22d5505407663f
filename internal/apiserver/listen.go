// Package apiserver serves an API on a unix socket: routes as data, the caller's user by the kernel, errors in the form of package api, and
// an end at which nobody is left without an answer.
package apiserver

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Listen makes a socket that only its owner may connect to. Its folder must be its owner's alone, so that there is no moment at which
// others could. The file stays when the listener is closed.
func Listen(path string) (*net.UnixListener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Duplicate returns another descriptor of the listener, closed at execve; it is the caller's to close.
func Duplicate(l *net.UnixListener) (int, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var failed error
	err = raw.Control(func(n uintptr) { fd, failed = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, failed)
}
