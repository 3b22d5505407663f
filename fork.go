package muster

import "net"

// listenFork waits for a server from the master, or, in the first call, for a connection: then the listener has no
// socket of its own until a server comes too. Each address the operator named stands for one server.
func (n *node) listenFork(o Options, addrs []address) (*listener, error) {
	l := newListener(n.w, o)
	if n.claimFirst(l) {
		return l, n.fill(l, addrs, n.arrived)
	}
	return l, n.fill(l, addrs, nil)
}

// claimFirst makes l the listener of the connections that name none.
func (n *node) claimFirst(l *listener) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.first != nil {
		return false
	}
	n.first = l
	return true
}

// fill waits for one server for each address of l, or until arrived is closed.
func (n *node) fill(l *listener, addrs []address, arrived <-chan struct{}) error {
	for _, a := range addrs {
		select {
		case fd := <-n.servers:
			if err := l.addFD(fd); err != nil {
				return listenError(a, err)
			}
		case <-arrived:
			n.adopt(l)
			return nil
		case <-n.w.draining:
			return ErrDraining
		}
	}
	return nil
}

// adopt makes l serve connections only, beginning with those that came before it.
func (n *node) adopt(l *listener) {
	n.mu.Lock()
	early := n.early
	n.early, n.bare = nil, l
	n.mu.Unlock()
	for _, c := range early {
		l.put(handover{conn: c})
	}
}

// server takes a listening socket: it completes a listener that has none, or waits for the next Listen call.
func (n *node) server(fd int) {
	n.mu.Lock()
	l := n.bare
	n.bare = nil
	n.mu.Unlock()
	if l == nil {
		n.park(n.servers, fd)
		return
	}
	_ = l.addFD(fd) // the listener goes on with the connections it is given
}

// connection takes a connection that the master accepted. Before there is a listener a few may wait.
func (n *node) connection(key string, fd int) {
	nc, err := fileConn(fd)
	if err != nil {
		return
	}
	c := n.sockets.track(key, nc)
	if l := n.receiver(c); l != nil {
		l.put(handover{conn: c})
	}
}

// receiver returns the listener for c, or keeps c, or closes it.
func (n *node) receiver(c net.Conn) *listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.once.Do(func() { close(n.arrived) })
	switch {
	case n.first != nil:
		return n.first
	case len(n.early) < maxPending:
		n.early = append(n.early, c)
	default:
		c.Close()
	}
	return nil
}

func (n *node) packetFork(a address) (net.PacketConn, error) {
	select {
	case fd := <-n.packets:
		p, err := filePacketConn(fd)
		if err != nil {
			return nil, listenError(a, err)
		}
		return p, nil
	case <-n.w.draining:
		return nil, ErrDraining
	}
}
