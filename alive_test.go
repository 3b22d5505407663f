package muster_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/musterd/muster"
)

func init() {
	roles["checked"] = func() error {
		muster.Alive(func() {
			_, _ = io.ReadFull(os.Stdin, make([]byte, 1)) // the test decides
		})
		return muster.Serve(newServer(http.NotFoundHandler()))
	}
}

// TestPings: a ping is answered when the check has returned, and what a Node master means by such a record is answered at once.
func TestPings(t *testing.T) {
	t.Parallel()
	m, p := startUnder(t, "checked", unique, "ADDR=127.0.0.1:0")
	m.expectAct("online")
	m.serveRobin("k", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1})

	m.send(message{"cmd": "NODE_HANDLE", "type": "net.Native"}, nil)
	m.send(message{"cmd": "NODE_SOCKET_GET_COUNT", "key": "k"}, nil) // answered meanwhile
	if got := m.next(); got["cmd"] == "NODE_HANDLE_NACK" {
		t.Error("the ping was answered before the check returned")
	}
	if _, err := p.stdin.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	m.expect(message{"cmd": "NODE_HANDLE_NACK"})
	m.send(handle("net.Socket", "a message whose socket was lost"), nil)
	m.expect(message{"cmd": "NODE_HANDLE_NACK"})
}
