package muster

import (
	"net"
	"os"
)

// firstInherited is the number of the first inherited descriptor.
const firstInherited = 3

// local is the source of a worker without a channel: it inherits sockets or binds its own.
type local struct {
	w         *worker
	inherited []inherited // not yet claimed; guarded by w.mu
}

// inherited is a socket passed by LISTEN_FDS. It is owned until it is claimed.
type inherited struct {
	fd   int
	kind socketKind
	addr net.Addr
}

// takeInherited returns the sockets that are meant for this process and makes all descriptors close-on-exec.
// What is neither a listening stream nor a datagram socket stays open and untouched.
func takeInherited(env environment) []inherited {
	if number(env.listenPID, 0) != os.Getpid() {
		return nil
	}
	var all []inherited
	for fd := firstInherited; fd < firstInherited+number(env.listenFDs, 0); fd++ {
		closeOnExec(fd)
		if s, ok := inspect(fd); ok {
			all = append(all, s)
		}
	}
	return all
}

func inspect(fd int) (inherited, bool) {
	kind := kindOf(fd)
	if kind != listeningSocket && kind != packetSocket {
		return inherited{}, false
	}
	addr, err := boundTo(fd)
	return inherited{fd, kind, addr}, err == nil
}

// listen uses inherited sockets for addrs and binds what it did not inherit.
func (s *local) listen(o Options, addrs []address) (*listener, error) {
	l := newListener(s.w, o)
	for _, a := range addrs {
		if err := s.addTo(l, a); err != nil {
			l.stop()
			return nil, listenError(a, err)
		}
	}
	return l, nil
}

func (s *local) addTo(l *listener, a address) error {
	want, err := a.resolve()
	if err != nil {
		return err
	}
	if fds := s.claim(listeningSocket, want); len(fds) > 0 {
		return addAll(l, fds)
	}
	own, err := net.Listen(a.network, a.addr)
	if err != nil {
		return err
	}
	l.add(socket{own.(acceptor), true})
	return nil
}

func addAll(l *listener, fds []int) error {
	var failed error
	for _, fd := range fds {
		if err := l.addFD(fd); err != nil {
			failed = err
		}
	}
	return failed
}

// claim takes the inherited sockets bound to want, else the first one that is left: whoever started us decides where we listen.
func (s *local) claim(kind socketKind, want net.Addr) []int {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	fds := s.take(func(i inherited) bool { return i.kind == kind && matches(want, i.addr) })
	if len(fds) > 0 {
		return fds
	}
	found := false
	return s.take(func(i inherited) bool {
		first := i.kind == kind && !found
		found = found || first
		return first
	})
}

func (s *local) take(which func(inherited) bool) []int {
	var fds []int
	var rest []inherited
	for _, i := range s.inherited {
		if which(i) {
			fds = append(fds, i.fd)
		} else {
			rest = append(rest, i)
		}
	}
	s.inherited = rest
	return fds
}

func (s *local) listenPacket(a address) (net.PacketConn, error) {
	want, err := a.resolve()
	if err != nil {
		return nil, listenError(a, err)
	}
	var p net.PacketConn
	if fds := s.claim(packetSocket, want); len(fds) > 0 {
		p, err = filePacketConn(fds[0])
		for _, fd := range fds[1:] {
			closeFD(fd)
		}
	} else {
		p, err = net.ListenPacket(a.network, a.addr)
	}
	if err != nil {
		return nil, listenError(a, err)
	}
	return p, nil
}

func (s *local) ready() {}
func (s *local) dying() {}
func (s *local) leave() {}
