package testutil

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// Port returns a TCP port of 127.0.0.1 that is free, is given to nobody else of this process, and is none that the system gives by itself:
// what begins there may end and begin again, and no connection of anybody's has taken it meanwhile.
func Port(t testing.TB) int {
	t.Helper()
	return Ports(t, 1)
}

// Ports returns the first of n such ports, one after the other.
func Ports(t testing.TB, n int) int {
	t.Helper()
	room := ports.last - ports.first - n
	for range room {
		port := ports.first + (int(ports.next.Add(uint32(n)))-n)%room
		if areFree(port, n) {
			return port
		}
	}
	t.Fatalf("no %d ports are free between %d and %d", n, ports.first, ports.last)
	return 0
}

func areFree(port, n int) bool {
	for i := range n {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i)))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// ports lie below those that Linux and macOS give by themselves. Each test process begins somewhere else.
var ports = struct {
	first, last int
	next        atomic.Uint32
}{first: 10000, last: 32000}

func init() { ports.next.Store(uint32(os.Getpid()) * 97) }

// TempDir returns a folder whose path is short enough for unix sockets in it; it is removed with the test.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
