package nodeipc

import "golang.org/x/sys/unix"

// receiveFlags make received descriptors close on exec from the start.
const receiveFlags = unix.MSG_CMSG_CLOEXEC

func socketpair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// raiseBuffer asks for n bytes of send buffer; with the privilege for it also beyond net.core.wmem_max.
func raiseBuffer(fd, option, force, n int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, n) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, n) // a smaller buffer serves too
	}
}

func raiseBuffers(fd, n int) {
	raiseBuffer(fd, unix.SO_SNDBUF, unix.SO_SNDBUFFORCE, n)
	raiseBuffer(fd, unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, n)
}

func closeOnExec([]int) {}
