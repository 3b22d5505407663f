package muster_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

const unique = "NODE_UNIQUE_ID=7"

func startShared(t *testing.T, role string, env ...string) (m *fakeMaster, p *proc, addr string) {
	t.Helper()
	l, addr := listenTCP(t)
	m, p = startUnder(t, role, append(env, unique, "ADDR="+addr)...)
	m.expectAct("online")
	m.serveShared(l, "k")
	return m, p, addr
}

func TestClusterShared(t *testing.T) {
	t.Parallel()
	l, addr := listenTCP(t)
	m, p := startUnder(t, "http", unique, "ADDR="+addr)
	m.expect(message{"cmd": "NODE_CLUSTER", "act": "online", "seq": 0})
	q, listening := m.serveShared(l, "k")
	_, port, _ := net.SplitHostPort(addr)
	for k, want := range map[string]any{"index": 0, "data": nil, "address": "127.0.0.1", "addressType": 4, "backlog": 511} {
		if got := q[k]; want == nil && got != nil || want != nil && (message{"v": got}).String() != (message{"v": want}).String() {
			t.Errorf("query: %s is %v, want %v", k, got, want)
		}
	}
	if (message{"p": listening["port"]}).String() != `{"p":`+port+`}` {
		t.Errorf("listening on %v, want %s", listening["port"], port)
	}
	get(t, addr, "/")
	m.send(m.cluster(message{"act": "disconnect"}), nil)
	m.expect(message{"act": "close", "key": "k"})
	m.expectEnd()
	p.line("^returned <nil>$")
	p.exits(0)
}

func TestClusterListensOnBoundSocket(t *testing.T) {
	t.Parallel()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "bound")
	defer f.Close()
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	m, p := startUnder(t, "http", unique)
	m.expectAct("online")
	_, listening := m.serveShared(f, "k")
	if listening["port"].(float64) == 0 {
		t.Error("listening names no port")
	}
	get(t, p.address(), "/")
}

func TestClusterRescue(t *testing.T) {
	t.Parallel()
	m, _, _ := startShared(t, "http")
	c, s := accepted(t)
	if !m.newConn("k", s) {
		t.Fatal("connection refused")
	}
	c.send(getRequest)
	c.answered(200)
	_, s = accepted(t)
	if m.newConn("other", s) {
		t.Fatal("connection for an unknown key taken")
	}
}

func TestClusterRoundRobin(t *testing.T) {
	t.Parallel()
	m, p := startUnder(t, "http", unique, "ADDR=127.0.0.1:3000")
	m.expectAct("online")
	m.serveRobin("k", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3000})
	if got := p.address(); got != "127.0.0.1:3000" {
		t.Errorf("address %s", got)
	}
	var clients []*rawConn
	for range 3 {
		c, s := accepted(t)
		clients = append(clients, c)
		if !m.newConn("k", s) {
			t.Fatal("connection refused")
		}
		s.Close()
	}
	m.send(m.cluster(message{"act": "disconnect"}), nil)
	m.expect(message{"act": "close", "key": "k"})
	_, s := accepted(t)
	if m.newConn("k", s) {
		t.Error("connection taken while draining")
	}
	for _, c := range clients { // taken before, not yet asked
		c.send(getRequest)
		if resp := c.answered(200); !resp.Close {
			t.Error("response of a draining worker keeps the connection")
		}
		c.ends()
	}
	m.expectEnd()
	p.exits(0)
}

func TestClusterErrno(t *testing.T) {
	t.Parallel()
	m, p := startUnder(t, "http", unique)
	m.expectAct("online")
	q := m.expectAct("queryServer")
	m.send(m.cluster(message{"errno": -98, "key": "k", "ack": q["seq"], "data": nil}), nil)
	p.line(`^returned listen on tcp 127.0.0.1:0: bind: address already in use$`)
	p.exits(1)
}

// A Node primary that could not bind sends a socket that is not bound.
func TestClusterWrongPort(t *testing.T) {
	t.Parallel()
	l, _ := listenTCP(t)
	m, p := startUnder(t, "http", unique, "ADDR=127.0.0.1:1")
	m.expectAct("online")
	q := m.expectAct("queryServer")
	m.send(handle("net.Native", m.cluster(message{"errno": 0, "key": "k", "ack": q["seq"], "data": nil})), l)
	m.expectAck()
	m.expect(message{"act": "close", "key": "k"})
	p.line(`^returned listen on tcp 127.0.0.1:1: address already in use$`)
}

func TestClusterQueryUnanswered(t *testing.T) {
	t.Parallel()
	m, p := startUnder(t, "http", unique)
	m.expectAct("online")
	m.expectAct("queryServer")
	m.send(m.cluster(message{"act": "disconnect"}), nil)
	p.line("^returned <nil>$")
	p.exits(0)
}

func TestClusterTwoServers(t *testing.T) {
	t.Parallel()
	m, p := startUnder(t, "two", unique, "ADDR=127.0.0.1:0", "ADDR2=127.0.0.1:0")
	m.expectAct("online")
	indexes := map[string]bool{}
	var acks []any
	for range 2 {
		q := m.expectAct("queryServer")
		indexes[(message{"i": q["index"]}).String()] = true
		acks = append(acks, q["seq"])
	}
	if len(indexes) != 2 {
		t.Errorf("indexes of two listeners on the same address: %v", indexes)
	}
	for i, ack := range acks {
		l, _ := listenTCP(t)
		m.send(handle("net.Native", m.cluster(message{"errno": 0, "key": fmt.Sprint(i), "ack": ack, "data": nil})), l)
	}
	get(t, p.address(), "/")
	get(t, p.address(), "/")
	p.signal(syscall.SIGTERM)
	p.line("^returned <nil>$")
	p.exits(0)
}

func TestOperatorsAddressesWin(t *testing.T) {
	t.Parallel()
	m, p := startUnder(t, "http", unique, "ADDR=127.0.0.1:9", "MUSTER_LISTEN=tcp://127.0.0.1:4001 web=[::1]:4002 udp://:53 unix:/run/x.sock")
	m.expectAct("online")
	for _, want := range []message{
		{"address": "127.0.0.1", "port": 4001, "addressType": 4},
		{"address": "::1", "port": 4002, "addressType": 6},
		{"address": "/run/x.sock", "port": -1, "addressType": -1},
	} {
		q := m.expectAct("queryServer")
		for k, v := range want {
			if (message{"v": q[k]}).String() != (message{"v": v}).String() {
				t.Errorf("query for %v: %v", want, q)
			}
		}
		m.send(m.cluster(message{"errno": 0, "key": q["address"], "ack": q["seq"], "data": nil}), nil)
	}
	for range 3 {
		m.expectAct("listening")
	}
	c, s := accepted(t)
	if !m.newConn("::1", s) {
		t.Fatal("connection refused")
	}
	c.send(getRequest)
	c.answered(200)
	p.signal(syscall.SIGTERM)
	for range 3 {
		m.expectAct("close")
	}
	m.expectEnd()
}

func TestManualReady(t *testing.T) {
	t.Parallel()
	l, addr := listenTCP(t)
	m, p := startUnder(t, "manual", unique, "ADDR="+addr)
	m.expectAct("online")
	q := m.expectAct("queryServer")
	m.send(handle("net.Native", m.cluster(message{"errno": 0, "key": "k", "ack": q["seq"], "data": nil})), l)
	m.expectAck()
	p.address()
	c := dial(t, addr)
	c.send(getRequest)
	p.stdin.Close() // the program calls Ready
	first, second := m.next(), m.next()
	if first["plain"] == nil {
		first, second = second, first
	}
	if first["plain"] != "ready" || second["act"] != "listening" {
		t.Errorf("got %v and %v, want ready and listening", first, second)
	}
	c.answered(200)
}

func TestMasterClosesChannel(t *testing.T) {
	t.Parallel()
	for _, env := range []string{unique, "NODE_UNIQUE_ID="} {
		m, p := startUnder(t, "http", env)
		l, addr := listenTCP(t)
		if env == unique {
			m.expectAct("online")
			q := m.expectAct("queryServer")
			m.send(handle("net.Native", m.cluster(message{"errno": 0, "key": "k", "ack": q["seq"], "data": nil})), l)
		} else {
			m.send(handle("net.Server", "server"), l)
		}
		m.expectAck()
		h := holdRequest(t, p, client(t), addr)
		m.close()
		h.release()
		p.line("^returned <nil>$")
		p.exits(0)
	}
}

func TestAdvancedSerializationIsRefused(t *testing.T) {
	t.Parallel()
	cmd := workerCommand(t, "http", "NODE_CHANNEL_FD=3", "NODE_CHANNEL_SERIALIZATION_MODE=advanced")
	_, end := newFakeMaster(t)
	cmd.ExtraFiles = []*os.File{end}
	p := start(t, cmd)
	end.Close()
	p.line(`^returned open channel: serialization "advanced" is not supported, the master must use json$`)
	p.exits(1)
}

func TestChannelThatIsNone(t *testing.T) {
	t.Parallel()
	p := start(t, workerCommand(t, "http", "NODE_CHANNEL_FD=99"))
	p.line(`^returned open channel: NODE_CHANNEL_FD: descriptor 99 is not a stream socket$`)
	p.exits(1)
}

// A worker that gets what it cannot use must neither die nor lose track of the descriptors that follow.
func TestOddRecords(t *testing.T) {
	t.Parallel()
	m, p := startUnder(t, "http", unique)
	m.expectAct("online")
	q := m.expectAct("queryServer")
	m.write([]byte("42\n\"text\"\nnot json\n\n[1]\n{\"cmd\":\"NODE_\"}\n{\"cmd\":\"NODE_UNKNOWN\"}\n"), nil)
	m.send(message{"cmd": "NODE_CLUSTER", "ack": "x", "seq": 0}, nil)
	m.send(message{"cmd": "NODE_CLUSTER", "ack": 999, "seq": 0}, nil)
	m.send(handle("net.Server", "no descriptor"), nil)
	m.expect(message{"cmd": "NODE_HANDLE_NACK"})
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	m.send(handle("odd", "no socket"), null)
	m.expectAck()
	l, addr := listenTCP(t)
	b := message{"cmd": "NODE_HANDLE", "type": "net.Native", "msg": m.cluster(message{"errno": 0, "key": "k", "ack": q["seq"]})}.String() + "\n"
	m.write([]byte(strings.Repeat("{\"n\":1}\n", 3)+b+"{\"n\":2}\n"), l)
	m.expectAck()
	m.expectAct("listening")
	get(t, addr, "/")
	p.signal(syscall.SIGTERM)
	p.exits(0)
}

func TestFragmentedRecord(t *testing.T) {
	t.Parallel()
	m, _ := startUnder(t, "http", unique)
	m.expectAct("online")
	q := m.expectAct("queryServer")
	l, addr := listenTCP(t)
	b := []byte(handle("net.Native", m.cluster(message{"errno": 0, "key": "ключ", "ack": q["seq"]})).String() + "\n")
	m.write(b[:1], l)
	for i := 1; i < len(b); i++ {
		m.write(b[i:i+1], nil)
	}
	m.expectAck()
	m.expectAct("listening")
	get(t, addr, "/")
}
