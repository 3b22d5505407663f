package muster_test

import (
	"net"
	"syscall"
	"testing"
)

func TestForkServer(t *testing.T) {
	t.Parallel()
	m, p := startUnder(t, "http")
	l, addr := listenTCP(t)
	m.send(message{"hello": "worker"}, nil)
	m.send(handle("net.Server", "server"), l)
	m.expectAck()
	if got := p.address(); got != addr {
		t.Errorf("address %s, want %s", got, addr)
	}
	get(t, addr, "/")
	p.signal(syscall.SIGTERM)
	m.expectEnd()
	p.line("^returned <nil>$")
	p.exits(0)
}

// muster says disconnect to a plain fork as well, and rescues by it.
func TestForkUnderMuster(t *testing.T) {
	t.Parallel()
	m, p := startUnder(t, "http", "MUSTER_APP=shop", "MUSTER_SLOT=2", "MUSTER_ID=9")
	l, _ := listenTCP(t)
	m.send(handle("net.Server", "server"), l)
	m.expectAck()
	m.expect(message{"plain": "ready"})
	c, s := accepted(t)
	if !m.newConn("", s) {
		t.Fatal("connection refused")
	}
	s.Close()
	c.send(getRequest)
	c.answered(200)
	m.send(m.cluster(message{"act": "disconnect"}), nil)
	m.expectEnd()
	c.ends()
	p.exits(0)
}

func TestForkSocketsOnly(t *testing.T) {
	t.Parallel()
	const key = "6::::34568"
	m, p := startUnder(t, "http")
	count := func(want int) {
		t.Helper()
		m.send(message{"cmd": "NODE_SOCKET_GET_COUNT", "key": key}, nil)
		m.expect(message{"cmd": "NODE_SOCKET_COUNT", "key": key, "count": want})
	}
	count(0)
	c, s := accepted(t)
	socket := handle("net.Socket", "socket")
	socket["key"] = key
	m.send(socket, s)
	s.Close()
	m.expectAck()
	c.send(getRequest)
	c.answered(200)
	count(1)

	again, s := accepted(t)
	m.send(handle("net.Native", socket), s) // a retransmission is wrapped twice and acknowledged once
	s.Close()
	m.expectAck()
	again.send(getRequest)
	again.answered(200)
	count(2)

	m.send(message{"cmd": "NODE_SOCKET_NOTIFY_CLOSE", "key": key}, nil)
	c.Close()
	again.Close()
	m.expect(message{"cmd": "NODE_SOCKET_ALL_CLOSED", "key": key})
	m.send(message{"cmd": "NODE_SOCKET_NOTIFY_CLOSE", "key": key}, nil)
	m.expect(message{"cmd": "NODE_SOCKET_ALL_CLOSED", "key": key})

	l, addr := listenTCP(t)
	m.send(handle("net.Server", "later"), l) // joins the listener that had none
	m.expectAck()
	get(t, addr, "/")
	m.close()
	p.exits(0)
}

func TestForkPacket(t *testing.T) {
	t.Parallel()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	f := dup(t, u.(syscall.Conn))
	m, p := startUnder(t, "packet")
	h := handle("dgram.Socket", "udp")
	h["dgramType"] = "udp4"
	m.send(h, f)
	m.expectAck()
	echo(t, p.address())
	p.line("^returned <nil>$")
}

func TestClusterPacket(t *testing.T) {
	t.Parallel()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	m, p := startUnder(t, "packet", unique)
	m.expectAct("online")
	q := m.expect(message{"act": "queryServer", "addressType": "udp4", "fd": -1, "address": "127.0.0.1"})
	m.send(handle("dgram.Native", m.cluster(message{"errno": 0, "key": "k", "ack": q["seq"]})), dup(t, u.(syscall.Conn)))
	m.expectAck()
	m.expectAct("listening")
	echo(t, p.address())
	p.line("^returned <nil>$")
}

func echo(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 10)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(b); err != nil || string(b[:n]) != "hello" {
		t.Fatalf("%q, %v", b[:n], err)
	}
}
