package sock

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
)

var errNoListener = errors.New("it is no socket that listens")

// Describe tells what a socket listens on that came from a manager above us. The listener has no name.
func Describe(fd int) (app.Listener, error) {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return app.Listener{}, errNoListener
	}
	network := map[int]string{unix.SOCK_STREAM: "tcp", unix.SOCK_DGRAM: "udp"}[typ]
	if network == "" || checkKind(fd, network) != nil {
		return app.Listener{}, errNoListener
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return app.Listener{}, err
	}
	if sa, ok := sa.(*unix.SockaddrUnix); ok {
		return describeUnix(network, sa.Name)
	}
	bound, ok := addrPort(sa)
	if !ok {
		return app.Listener{}, fmt.Errorf("its address family: %w", errors.ErrUnsupported)
	}
	return describeInet(fd, network, bound), nil
}

func describeUnix(network, path string) (app.Listener, error) {
	if network != "tcp" || path == "" || path[0] != '/' {
		return app.Listener{}, fmt.Errorf("a unix socket that is not a stream at a path: %w", errors.ErrUnsupported)
	}
	return app.Listener{Network: "unix", Path: path}, nil
}

// describeInet is an address as ParseListener has it: "tcp" without a host is every address of both families.
func describeInet(fd int, network string, bound netip.AddrPort) app.Listener {
	l := app.Listener{Network: network + "6", Host: bound.Addr().Unmap().String(), Port: int(bound.Port())}
	if bound.Addr().Unmap().Is4() {
		l.Network = network + "4"
	}
	if !bound.Addr().IsUnspecified() {
		return l
	}
	l.Host = ""
	if only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); bound.Addr().Is6() && err == nil && only == 0 {
		l.Network = network
	}
	return l
}

// SetNonblock sets or clears O_NONBLOCK, for everybody who holds the socket: only before the first worker has it.
func (s *Socket) SetNonblock(on bool) error {
	if err := unix.SetNonblock(s.fd, on); err != nil {
		return s.fail("set the blocking mode of", err)
	}
	return nil
}
