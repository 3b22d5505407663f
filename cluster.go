package muster

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
)

// backlog is what a Node server asks for when the program does not say.
const backlog = 511

// query asks a cluster primary for a listener. The fields and their odd types are Node's.
type query struct {
	Cmd         string  `json:"cmd"`
	Act         string  `json:"act"`
	Index       int     `json:"index"` // n-th listener of this worker on the same address
	Data        any     `json:"data"`
	Address     *string `json:"address"`     // null: any, dual stack
	Port        int     `json:"port"`        // -1 for a path
	AddressType any     `json:"addressType"` // 4, 6, -1 for a path, "udp4", "udp6"
	FD          *int    `json:"fd,omitempty"`
	Flags       int     `json:"flags"`
	Backlog     int     `json:"backlog,omitempty"`
	Seq         int64   `json:"seq"`
}

const flagIPv6Only = 1

// clusterMessage is any other frame of the conversation, in either direction.
type clusterMessage struct {
	Cmd      string          `json:"cmd"`
	Act      string          `json:"act,omitempty"`
	Key      string          `json:"key,omitempty"`
	Ack      json.RawMessage `json:"ack,omitempty"` // as it came: the peer compares numbers
	Accepted *bool           `json:"accepted,omitempty"`
	Seq      int64           `json:"seq"`
}

// answer is what comes back for a query.
type answer struct {
	Cmd      string          `json:"cmd"`
	Act      string          `json:"act"`
	Key      string          `json:"key"`
	Ack      json.Number     `json:"ack"`
	Seq      json.RawMessage `json:"seq"`
	Errno    int             `json:"errno"` // null and 0 are success, else a negative Linux errno
	Sockname *sockname       `json:"sockname"`
}

type sockname struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
}

// reply is an answer with its socket; whoever receives it owns fd, which is -1 in round robin.
type reply struct {
	answer
	fd int
}

// newQuery words a for the primary.
func newQuery(network string, a net.Addr) query {
	q := query{Cmd: "NODE_CLUSTER", Act: "queryServer"}
	switch a := a.(type) {
	case *net.TCPAddr:
		q.Port, q.Backlog = a.Port, backlog
		q.Address, q.AddressType, q.Flags = ipQuery(network, a.IP)
	case *net.UDPAddr:
		none := -1
		q.Port, q.FD = a.Port, &none
		q.udp(network, a.IP)
	case *net.UnixAddr:
		q.Address, q.Port, q.AddressType, q.Backlog = &a.Name, -1, -1, backlog
	}
	return q
}

func ipQuery(network string, ip net.IP) (addr *string, family any, flags int) {
	text := func(s string) *string { return &s }
	switch {
	case ip == nil && network == "tcp4":
		return text("0.0.0.0"), 4, 0
	case ip == nil && network == "tcp6":
		return text("::"), 6, flagIPv6Only
	case ip == nil:
		return nil, 4, 0
	case ip.To4() != nil:
		return text(ip.String()), 4, 0
	}
	return text(ip.String()), 6, 0
}

func (q *query) udp(network string, ip net.IP) {
	text, family := "::", "udp6"
	switch {
	case ip == nil && network == "udp4", ip.To4() != nil:
		text, family = "0.0.0.0", "udp4"
	case ip == nil && network == "udp6":
		q.Flags = flagIPv6Only
	}
	if ip != nil {
		text = ip.String()
	}
	q.Address, q.AddressType = &text, family
}

// tuple is what Index counts within.
func (q query) tuple() string {
	addr := "null"
	if q.Address != nil {
		addr = *q.Address
	}
	return fmt.Sprintf("%s:%d:%v", addr, q.Port, q.AddressType)
}

func (n *node) listenCluster(o Options, addrs []address) (*listener, error) {
	l := newListener(n.w, o)
	for _, a := range addrs {
		if err := n.addCluster(l, a); err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

// addCluster asks for one address and adds it to l: a socket to accept from, or a key under which connections come.
func (n *node) addCluster(l *listener, a address) error {
	want, err := a.resolve()
	if err != nil {
		return listenError(a, err)
	}
	q := newQuery(a.network, want)
	tuple := q.tuple()
	r, err := n.ask(&q, l)
	if err != nil {
		return n.refused(tuple, a, err)
	}
	have, err := n.use(l, r)
	if err == nil && port(want) != 0 && have != nil && port(have) != port(want) {
		err = errAddrInUse // how a Node primary says that it could not bind: the socket it sent is not ours
	}
	if err != nil {
		n.closeKey(r.Key)
		return n.refused(tuple, a, err)
	}
	if p := port(have); p != 0 {
		q.Port = p
	}
	l.whenServing(func() { n.sayListening(q) })
	l.whenStopped(func() {
		n.closeKey(r.Key)
		n.release(tuple)
	})
	return nil
}

func (n *node) sayListening(q query) {
	q.Act, q.Seq = "listening", n.nextSeq()
	n.ch.send(q)
}

func (n *node) refused(tuple string, a address, err error) error {
	n.release(tuple)
	if errors.Is(err, ErrDraining) {
		return err
	}
	return listenError(a, err)
}

// use adds the socket of r to l, if there is one, and returns the address that l then has.
func (n *node) use(l *listener, r reply) (net.Addr, error) {
	if r.fd >= 0 {
		if err := l.addFD(r.fd); err != nil {
			return nil, err
		}
		return l.last(), nil
	}
	if r.Sockname == nil {
		return nil, nil
	}
	addr := &net.TCPAddr{IP: net.ParseIP(r.Sockname.Address), Port: r.Sockname.Port}
	l.addAddr(addr)
	return addr, nil
}

// closeKey tells the primary that the worker no longer listens there. Connections that are under way are refused.
func (n *node) closeKey(key string) {
	n.mu.Lock()
	delete(n.routes, key)
	n.mu.Unlock()
	n.ch.send(clusterMessage{Cmd: "NODE_CLUSTER", Act: "close", Key: key, Seq: n.nextSeq()})
}

// ask sends q and waits for the answer, which a master may keep back as long as it likes. Connections for the key of
// the answer go to l from the moment the answer is here.
func (n *node) ask(q *query, l *listener) (reply, error) {
	q.Index, q.Seq = n.index(q.tuple()), n.nextSeq()
	p := n.expect(q.Seq, l)
	n.ch.send(q)
	select {
	case r := <-p.reply:
		if r.Errno != 0 {
			return r, errnoError(r.Errno)
		}
		return r, nil
	case <-n.w.draining:
		n.forget(q.Seq, p)
		return reply{}, ErrDraining
	}
}

// pending is a query without its answer.
type pending struct {
	reply chan reply
	l     *listener // nil for packets
}

func (n *node) expect(seq int64, l *listener) pending {
	p := pending{make(chan reply, 1), l}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pending[seq] = p
	return p
}

// forget gives up waiting; a socket that came nevertheless is closed.
func (n *node) forget(seq int64, p pending) {
	n.mu.Lock()
	delete(n.pending, seq)
	n.mu.Unlock()
	select {
	case r := <-p.reply:
		closeFD(r.fd)
	default:
	}
}

// index counts the listeners on a tuple; it restarts when the last of them is closed.
func (n *node) index(tuple string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := n.tuples[tuple]
	n.tuples[tuple]++
	n.inUse[tuple]++
	return i
}

func (n *node) release(tuple string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.inUse[tuple]--; n.inUse[tuple] <= 0 {
		delete(n.inUse, tuple)
		delete(n.tuples, tuple)
	}
}

// handleCluster acts on a message of the primary; it owns fd, which may be -1.
func (n *node) handleCluster(record []byte, fd int) {
	var m answer
	if json.Unmarshal(record, &m) != nil {
		closeFD(fd)
		return
	}
	switch {
	case m.Act == "newconn":
		n.newConn(m, fd)
	case m.Act == "disconnect":
		closeFD(fd)
		n.w.drain()
	case m.Ack != "":
		n.answered(m, fd)
	default:
		closeFD(fd)
	}
}

// newConn takes a connection that the primary accepted, in round robin and as a rescue from another worker's queue.
// It answers when the server has it, or that nobody here wants it: then the primary gives it to another worker.
func (n *node) newConn(m answer, fd int) {
	say := func(accepted bool) {
		n.ch.send(clusterMessage{Cmd: "NODE_CLUSTER", Ack: m.Seq, Accepted: &accepted, Seq: n.nextSeq()})
	}
	l := n.lookup(m.Key)
	if l == nil || fd < 0 {
		closeFD(fd)
		say(false)
		return
	}
	c, err := fileConn(fd)
	if err != nil || !l.offer(handover{c, say}) {
		if c != nil {
			c.Close()
		}
		say(false)
	}
}

func (n *node) lookup(key string) *listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.clustered {
		return n.routes[key]
	}
	return n.first
}

func (n *node) answered(m answer, fd int) {
	seq, err := m.Ack.Int64()
	n.mu.Lock()
	defer n.mu.Unlock()
	p, ok := n.pending[seq]
	if err != nil || !ok {
		closeFD(fd)
		return
	}
	delete(n.pending, seq)
	if p.l != nil && m.Errno == 0 {
		n.routes[m.Key] = p.l
	}
	p.reply <- reply{m, fd}
}

func (n *node) packetCluster(a address) (net.PacketConn, error) {
	want, err := a.resolve()
	if err != nil {
		return nil, listenError(a, err)
	}
	q := newQuery(a.network, want)
	tuple := q.tuple()
	r, err := n.ask(&q, nil)
	if err == nil && r.fd < 0 {
		err = errors.New("the master gave no socket")
	}
	if err != nil {
		return nil, n.refused(tuple, a, err)
	}
	p, err := filePacketConn(r.fd)
	if err != nil {
		return nil, n.refused(tuple, a, err)
	}
	q.Port = port(p.LocalAddr())
	n.sayListening(q)
	return p, nil
}
