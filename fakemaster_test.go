package muster_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
)

// message is a record as a test looks at it.
type message map[string]any

func (m message) String() string { b, _ := json.Marshal(map[string]any(m)); return string(b) }

// fakeMaster speaks the other end of Node's channel, as far as a test tells it to.
type fakeMaster struct {
	t    *testing.T
	conn *net.UnixConn
	in   chan message // closed at the end of the stream
	seq  int
}

// newFakeMaster returns a master and the end of the channel that a worker inherits.
func newFakeMaster(t *testing.T) (*fakeMaster, *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fds[0])
	syscall.CloseOnExec(fds[1])
	f := os.NewFile(uintptr(fds[0]), "channel")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	m := &fakeMaster{t: t, conn: c.(*net.UnixConn), in: make(chan message, 1000)}
	go m.read()
	t.Cleanup(m.close)
	return m, os.NewFile(uintptr(fds[1]), "worker's channel")
}

// startUnder starts a worker with a channel. Clustered or not is a matter of NODE_UNIQUE_ID in env.
func startUnder(t *testing.T, role string, env ...string) (*fakeMaster, *proc) {
	t.Helper()
	m, end := newFakeMaster(t)
	cmd := workerCommand(t, role, append(env, "NODE_CHANNEL_FD=3", "NODE_CHANNEL_SERIALIZATION_MODE=json")...)
	cmd.ExtraFiles = []*os.File{end}
	p := start(t, cmd)
	end.Close()
	return m, p
}

// read ends with the stream. Workers here never send descriptors.
func (m *fakeMaster) read() {
	defer close(m.in)
	for s := bufio.NewScanner(m.conn); s.Scan(); {
		var v any
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			m.in <- message{"invalid": s.Text()}
			continue
		}
		if object, ok := v.(map[string]any); ok {
			m.in <- object
		} else {
			m.in <- message{"plain": v}
		}
	}
}

func (m *fakeMaster) close() { m.conn.Close() }

// next returns the next message, nil at the end of the stream.
func (m *fakeMaster) next() message {
	m.t.Helper()
	select {
	case v := <-m.in:
		return v
	case <-time.After(time.Until(testutil.Deadline(m.t))):
		m.t.Fatal("no message in time")
		return nil
	}
}

// expect requires the next message to have these members; further ones are ignored.
func (m *fakeMaster) expect(want message) message {
	m.t.Helper()
	got := m.next()
	for k, v := range want {
		if fmt.Sprint(got[k]) != fmt.Sprint(v) {
			m.t.Fatalf("got %v, want %v", got, want)
		}
	}
	return got
}

func (m *fakeMaster) expectAct(act string) message {
	m.t.Helper()
	return m.expect(message{"cmd": "NODE_CLUSTER", "act": act})
}

func (m *fakeMaster) expectAck() { m.t.Helper(); m.expect(message{"cmd": "NODE_HANDLE_ACK"}) }

// expectEnd requires the end of the stream with nothing before it.
func (m *fakeMaster) expectEnd() {
	m.t.Helper()
	if got := m.next(); got != nil {
		m.t.Fatalf("got %v, want the end", got)
	}
}

// send writes one record, with a descriptor if f is not nil.
func (m *fakeMaster) send(v any, f *os.File) {
	m.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(append(b, '\n'), f)
}

func (m *fakeMaster) write(b []byte, f *os.File) {
	m.t.Helper()
	var oob []byte
	if f != nil {
		oob = syscall.UnixRights(int(f.Fd()))
	}
	n, _, err := m.conn.WriteMsgUnix(b, oob, nil)
	if err == nil && n < len(b) {
		_, err = m.conn.Write(b[n:])
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func handle(typ string, msg any) message {
	return message{"cmd": "NODE_HANDLE", "type": typ, "msg": msg}
}

func (m *fakeMaster) cluster(v message) message {
	v["cmd"], v["seq"] = "NODE_CLUSTER", m.seq
	m.seq++
	return v
}

// serveShared answers the worker's query with a listening socket and waits until it listens.
func (m *fakeMaster) serveShared(l *os.File, key string) (query, listening message) {
	m.t.Helper()
	query = m.expectAct("queryServer")
	m.send(handle("net.Native", m.cluster(message{"errno": 0, "key": key, "ack": query["seq"], "data": nil})), l)
	m.expectAck()
	return query, m.expectAct("listening")
}

// serveRobin answers the worker's query without a socket.
func (m *fakeMaster) serveRobin(key string, addr *net.TCPAddr) (query, listening message) {
	m.t.Helper()
	query = m.expectAct("queryServer")
	m.send(m.cluster(message{
		"errno": nil, "key": key, "ack": query["seq"], "data": nil,
		"sockname": message{"address": addr.IP.String(), "family": "IPv4", "port": addr.Port},
	}), nil)
	return query, m.expectAct("listening")
}

// newConn hands a connection over and returns what the worker says about it.
func (m *fakeMaster) newConn(key string, c *os.File) bool {
	m.t.Helper()
	msg := m.cluster(message{"act": "newconn", "key": key})
	m.send(handle("net.Native", msg), c)
	m.expectAck()
	return m.expect(message{"ack": msg["seq"]})["accepted"].(bool)
}

// accepted makes a connection: the client's end and the server's as a master has it.
func accepted(t *testing.T) (*rawConn, *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := dial(t, l.Addr().String())
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return c, dup(t, s.(syscall.Conn))
}

func sayAddress(l net.Listener) context.Context {
	fmt.Println("address", l.Addr())
	return context.Background()
}
