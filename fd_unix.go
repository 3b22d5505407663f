//go:build unix

package muster

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// somaxconn is asked for when a socket arrives bound only; the kernel lowers it to its own limit.
const somaxconn = 4096

// closeFD closes fd unless it is negative.
func closeFD(fd int) {
	if fd >= 0 {
		_ = syscall.Close(fd)
	}
}

func closeOnExec(fd int) { syscall.CloseOnExec(fd) }

// receivedFDs returns the descriptors in a control message. Go receives them close-on-exec.
func receivedFDs(oob []byte) []int {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var fds []int
	for i := range messages {
		got, err := syscall.ParseUnixRights(&messages[i])
		if err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

type socketKind int

const (
	notSocket socketKind = iota
	streamSocket
	listeningSocket
	packetSocket
)

// kindOf asks the kernel what fd is.
func kindOf(fd int) socketKind {
	typ, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
	switch {
	case err != nil:
		return notSocket
	case typ == syscall.SOCK_DGRAM:
		return packetSocket
	case typ != syscall.SOCK_STREAM:
		return notSocket
	}
	if on, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); err == nil && on != 0 {
		return listeningSocket
	}
	return streamSocket
}

// startListening makes a bound socket listen. One that listens already keeps the backlog its owner chose.
func startListening(fd int) error {
	if kindOf(fd) == listeningSocket {
		return nil
	}
	return os.NewSyscallError("listen", syscall.Listen(fd, somaxconn))
}

// dataPending reports whether a read from the socket would return bytes now. It leaves them there.
func dataPending(c syscall.Conn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var n int
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, _ = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && n > 0
}

// errnoError turns the negative number of a Node primary into an error that errors.Is can match.
func errnoError(n int) error {
	if n > 0 {
		n = -n
	}
	return os.NewSyscallError("bind", syscall.Errno(-n))
}

var errAddrInUse error = syscall.EADDRINUSE

// fileListener makes a listener of fd and closes fd, also on error. It never clears O_NONBLOCK, which belongs to the
// description that other processes share: os.NewFile leaves the flag as it is and net sets it.
func fileListener(fd int) (acceptor, error) {
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	a, ok := l.(acceptor)
	if !ok {
		l.Close()
		return nil, errors.ErrUnsupported
	}
	return a, nil
}

// fileConn makes a connection of fd and closes fd, also on error.
func fileConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close()
	return net.FileConn(f)
}

// filePacketConn makes a packet connection of fd and closes fd, also on error.
func filePacketConn(fd int) (net.PacketConn, error) {
	f := os.NewFile(uintptr(fd), "packets")
	defer f.Close()
	return net.FilePacketConn(f)
}

// boundTo returns the address of a socket.
func boundTo(fd int) (net.Addr, error) {
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return nil, os.NewSyscallError("getsockname", err)
	}
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return ipAddr(fd, sa.Addr[:], sa.Port), nil
	case *syscall.SockaddrInet6:
		return ipAddr(fd, sa.Addr[:], sa.Port), nil
	case *syscall.SockaddrUnix:
		return &net.UnixAddr{Name: sa.Name, Net: "unix"}, nil
	}
	return nil, errors.ErrUnsupported
}

func ipAddr(fd int, ip net.IP, port int) net.Addr {
	if kindOf(fd) == packetSocket {
		return &net.UDPAddr{IP: ip, Port: port}
	}
	return &net.TCPAddr{IP: ip, Port: port}
}
