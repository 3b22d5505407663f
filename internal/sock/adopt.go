package sock

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
)

// Adopt takes over a socket that came by a hand-over or from a manager above us (LISTEN_FDS). It checks with the kernel that the
// descriptor is what l says: its kind, that it listens, its port unless that is 0, its host or path unless they are empty. On success
// the Socket owns fd, which is close-on-exec from then on; on error the caller keeps it. The path of a unix socket is not
// unlinked by Close; see ClaimPath.
func Adopt(fd int, l app.Listener) (*Socket, error) {
	if err := checkKind(fd, l.Network); err != nil {
		return nil, fmt.Errorf("adopt listener %s from descriptor %d: %w", describe(l), fd, err)
	}
	s := &Socket{fd: fd, listener: l}
	if err := s.match(); err != nil {
		return nil, fmt.Errorf("adopt listener %s from descriptor %d: %w", describe(l), fd, err)
	}
	unix.CloseOnExec(fd)
	return s, nil
}

// checkKind asks for the type of the socket and whether it listens.
func checkKind(fd int, network string) error {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return err
	}
	if isUDP(network) {
		if typ != unix.SOCK_DGRAM {
			return fmt.Errorf("it is not a datagram socket")
		}
		return nil
	}
	if typ != unix.SOCK_STREAM {
		return fmt.Errorf("it is not a stream socket")
	}
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err == nil && listening == 0 {
		err = fmt.Errorf("it does not listen")
	}
	return err
}

// match compares the address of the socket with its listener and completes the latter.
func (s *Socket) match() error {
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return err
	}
	if sa, ok := sa.(*unix.SockaddrUnix); ok {
		return s.matchPath(sa.Name)
	}
	bound, ok := addrPort(sa)
	if !ok || !isInet(s.listener.Network) {
		return fmt.Errorf("it is of another address family")
	}
	return s.matchAddr(bound)
}

func (s *Socket) matchPath(path string) error {
	switch {
	case s.listener.Network != "unix":
		return fmt.Errorf("it is a unix socket")
	case s.listener.Path != "" && s.listener.Path != path:
		return fmt.Errorf("it is bound to %q", path)
	}
	s.listener.Path = path
	return nil
}

func (s *Socket) matchAddr(bound netip.AddrPort) error {
	l := s.listener
	four := bound.Addr().Unmap().Is4()
	wrong := l.Port != 0 && l.Port != int(bound.Port()) ||
		strings.HasSuffix(l.Network, "4") && !four ||
		strings.HasSuffix(l.Network, "6") && four
	if l.Host != "" {
		host, err := netip.ParseAddr(l.Host)
		wrong = wrong || err != nil || host.Unmap().WithZone("") != bound.Addr().Unmap().WithZone("")
	}
	if wrong {
		return fmt.Errorf("it is bound to %s", bound)
	}
	s.bound = bound
	s.listener.Port = int(bound.Port())
	return nil
}
