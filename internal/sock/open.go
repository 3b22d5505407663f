package sock

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
)

// DefaultBacklog is the accept queue asked for where Options names none. It is what Node, nginx and Redis ask for; a Node
// worker calls listen again with it, so the limit does not change under its hands when it arrives. Each slot has a
// queue of its own, and the kernel caps every one by net.core.somaxconn.
const DefaultBacklog = 511

// Options says how to open sockets. Its zero value is ready for use.
type Options struct {
	Nonblock bool        // O_NONBLOCK on the description: Node needs it set, programs that inherit by LISTEN_FDS expect it cleared
	Backlog  int         // length of the accept queue in connections; 0: DefaultBacklog
	Mode     os.FileMode // permissions of a unix socket's path; 0: what the umask leaves
	UID, GID int         // who owns that path; 0 and less: this process
	V6Only   bool        // no IPv4 on an IPv6 socket
}

func (o Options) backlog() int {
	if o.Backlog > 0 {
		return o.Backlog
	}
	return DefaultBacklog
}

// OpenShared opens one socket that all workers serve. An address in use is *InUseError, a missing privilege *PermissionError,
// an address that this machine does not have *UnavailableError, and one that cannot be right *AddressError.
func OpenShared(l app.Listener, o Options) (*Socket, error) {
	if l.Network == "unix" {
		return openUnix(l, o)
	}
	s, err := bind(l, o, false)
	if err != nil {
		return nil, err
	}
	return s.orClose(s.listen(o))
}

// OpenSlots opens n sockets with SO_REUSEPORT on one address, all of them listening. The first is bound without that
// option, because with it a socket would silently join those of a stranger of the same user; it also settles port 0.
// The errors are those of OpenShared; on any of them nothing stays open. It is errors.ErrUnsupported for unix sockets and outside Linux.
func OpenSlots(l app.Listener, n int, o Options) ([]*Socket, error) {
	if err := slottable(l); err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("open listener %s: %d slots", describe(l), n)
	}
	first, err := openFirst(l, o)
	if err != nil {
		return nil, err
	}
	slots := []*Socket{first}
	for len(slots) < n {
		s, err := AddSlot(first.listener, o)
		if err != nil {
			closeAll(slots)
			return nil, err
		}
		slots = append(slots, s)
	}
	return slots, nil
}

// AddSlot opens one more socket beside those of OpenSlots. The port of l must be the one they have.
func AddSlot(l app.Listener, o Options) (*Socket, error) {
	if err := slottable(l); err != nil {
		return nil, err
	}
	if l.Port == 0 {
		return nil, invalid(l, "a further slot needs the port of the first")
	}
	s, err := bind(l, o, true)
	if err != nil {
		return nil, err
	}
	return s.orClose(s.listen(o))
}

// openFirst binds alone and opens the group afterwards: the option counts from the moment that it is set, so there is no gap
// between the look and the leap.
func openFirst(l app.Listener, o Options) (*Socket, error) {
	s, err := bind(l, o, false)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return s.orClose(failure(l, err))
	}
	return s.orClose(s.listen(o))
}

func slottable(l app.Listener) error {
	if !slotsWork || !isInet(l.Network) {
		return fmt.Errorf("open listener %s: one socket per slot: %w", describe(l), errors.ErrUnsupported)
	}
	return nil
}

// bind opens and binds a TCP or UDP socket at the first of the listener's addresses that this machine can have.
func bind(l app.Listener, o Options, reuseport bool) (*Socket, error) {
	if !isInet(l.Network) {
		return nil, invalid(l, "the network is not known")
	}
	addrs, err := endpoints(l, o.V6Only)
	if err != nil {
		return nil, err
	}
	var fd int
	for _, addr := range addrs {
		fd, err = bindTo(addr, isUDP(l.Network), o.Nonblock, reuseport)
		if !noIPv6(err) {
			break
		}
	}
	if err != nil {
		return nil, failure(l, err)
	}
	s := &Socket{fd: fd, listener: l}
	return s.orClose(s.learnAddr())
}

// noIPv6 tells the errors of a kernel without IPv6 from those that IPv4 would meet too.
func noIPv6(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)
}

func bindTo(addr endpoint, udp, nonblock, reuseport bool) (int, error) {
	typ := unix.SOCK_STREAM
	if udp {
		typ = unix.SOCK_DGRAM
	}
	fd, err := newFD(addr.domain, typ, nonblock)
	if err != nil {
		return -1, err
	}
	if err := setOptions(fd, addr, !udp, reuseport); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if err := unix.Bind(fd, addr.sa); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// setOptions sets what must stand before bind. SO_REUSEADDR lets TCP bind over connections in TIME_WAIT;
// for UDP it would let two strangers share the port.
func setOptions(fd int, addr endpoint, reuseaddr, reuseport bool) error {
	if addr.domain == unix.AF_INET6 {
		if err := setBool(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, addr.v6only); err != nil {
			return err
		}
	}
	if err := setBool(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, reuseaddr); err != nil {
		return err
	}
	return setBool(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, reuseport)
}

func setBool(fd, level, option int, on bool) error {
	value := 0
	if on {
		value = 1
	}
	return unix.SetsockoptInt(fd, level, option, value)
}

func (s *Socket) listen(o Options) error {
	if isUDP(s.listener.Network) {
		return nil
	}
	if err := unix.Listen(s.fd, o.backlog()); err != nil {
		return failure(s.listener, err)
	}
	return nil
}

// orClose returns the socket, or closes it when there is an error.
func (s *Socket) orClose(err error) (*Socket, error) {
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func closeAll(sockets []*Socket) {
	for _, s := range sockets {
		s.Close()
	}
}
