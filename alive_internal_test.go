package muster

import (
	"net"
	"testing"
)

func TestAListenerThatLeavesConnections(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newListener(newWorker(environment{}), Options{})
	l.add(socket{tcp.(acceptor), false})
	defer l.Close()
	require := func(when string, sure, want bool) {
		t.Helper()
		if l.accepting(sure); l.accepting(sure) != want { // the first look takes note of the calls so far
			t.Errorf("%s: accepts %v, want %v", when, !want, want)
		}
	}
	connect := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}

	require("before the first call", true, true)
	connect()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	require("nobody calls, and nobody connects", false, true)
	require("nobody calls, and the master knows of connections", true, false)
	accepted := make(chan error)
	connect() // taken by a pump that was waiting, or left
	connect()
	connect()
	require("connections wait", false, false)
	go func() {
		for range 3 {
			c, err := l.Accept()
			if err != nil {
				accepted <- err
				return
			}
			c.Close()
		}
		accepted <- nil
	}()
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	if !l.accepting(true) {
		t.Error("calls since the last look are no sign")
	}
	l.stop()
	require("it has stopped", true, true)
}
