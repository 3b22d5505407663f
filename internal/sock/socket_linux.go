package sock

import "golang.org/x/sys/unix"

// newFD opens a close-on-exec socket whose blocking mode is settled from the start.
func newFD(domain, typ int, nonblock bool) (int, error) {
	typ |= unix.SOCK_CLOEXEC
	if nonblock {
		typ |= unix.SOCK_NONBLOCK
	}
	return unix.Socket(domain, typ, 0)
}

func accept(fd int) (int, error) {
	conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	return conn, err
}
