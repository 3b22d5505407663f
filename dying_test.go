package muster_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPanicAnnouncesFirst(t *testing.T) {
	t.Parallel()
	m, p, addr := startShared(t, "http")
	h := holdRequest(t, p, client(t), addr)
	idle := dial(t, addr)
	idle.send(getRequest)
	idle.answered(200)
	r := get(t, addr, "/panic")
	if r.head.StatusCode != 500 || !r.head.Close {
		t.Errorf("panic answered by %v", r.head)
	}
	m.expect(message{"act": "suicide"})
	m.expect(message{"act": "close", "key": "k"})
	c, s := accepted(t)
	if m.newConn("k", s) {
		t.Error("a dying worker took a connection")
	}
	c.Close()
	idle.ends()
	h.release()
	m.expectEnd()
	p.exits(1)
	if text := p.errors(); !strings.Contains(text, "panic serving GET /panic") || !strings.Contains(text, "main_test.go") {
		t.Errorf("stderr: %s", text)
	}
}

func TestPanicAfterHalfTheResponse(t *testing.T) {
	t.Parallel()
	m, p, addr := startShared(t, "http")
	r := do(t, client(t), "GET", "http://"+addr+"/halfpanic", nil)
	if r.err == nil {
		t.Errorf("half a response looks complete: %q", r.body)
	}
	m.expect(message{"act": "suicide"})
	p.exits(1)
}

func TestAbortIsNoDeath(t *testing.T) {
	t.Parallel()
	_, _, addr := startShared(t, "http")
	if r := do(t, client(t), "GET", "http://"+addr+"/abort", nil); r.err == nil {
		t.Error("an aborted request was answered")
	}
	get(t, addr, "/")
}

func TestKeepOnPanic(t *testing.T) {
	t.Parallel()
	_, _, addr := startShared(t, "keep")
	if r := do(t, client(t), "GET", "http://"+addr+"/panic", nil); r.err == nil {
		t.Error("a panic was answered")
	}
	get(t, addr, "/")
}

func TestDyingByOtherWays(t *testing.T) {
	t.Parallel()
	for path, reason := range map[string]string{"/gopanic": "boom in goroutine", "/dying": "database is gone"} {
		m, p, addr := startShared(t, "http")
		get(t, addr, path)
		m.expect(message{"act": "suicide"})
		p.exits(1)
		if !strings.Contains(p.errors(), reason) {
			t.Errorf("stderr: %s", p.errors())
		}
	}
}

func TestDyingNotifies(t *testing.T) {
	t.Parallel()
	l, addr := listenTCP(t)
	path, next := notifySocket(t)
	p := inherit(t, "http", []*os.File{l}, "NOTIFY_SOCKET="+path)
	p.address()
	get(t, addr, "/panic")
	if first, second := next(), next(); first != "READY=1" || second != "STOPPING=1" {
		t.Errorf("notified %q, %q", first, second)
	}
	p.exits(1)
}

// A dying worker does not live on because of one request.
func TestDyingIsBounded(t *testing.T) {
	t.Parallel()
	_, p, addr := startShared(t, "hurried")
	holdRequest(t, p, client(t), addr)
	get(t, addr, "/panic")
	p.exits(1)
}

// An orphan has two seconds, however long its requests take.
func TestOrphanExits(t *testing.T) {
	t.Parallel()
	m, end := newFakeMaster(t)
	cmd := workerCommand(t, "http", "NODE_CHANNEL_FD=3")
	// The shell is the parent, waits for its stdin to end, and dies; the worker keeps stdout.
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", `"$0" </dev/null & exec 3>&- ; read x; exit 0`, self(t)}
	cmd.ExtraFiles = []*os.File{end}
	p := start(t, cmd)
	end.Close()
	l, addr := listenTCP(t)
	m.send(handle("net.Server", "server"), l)
	m.expectAck()
	p.address()
	holdRequest(t, p, client(t), addr)
	begin := time.Now()
	p.stdin.Close()
	m.close()
	for range p.lines { // until the orphan is gone
	}
	if took := time.Since(begin); took < time.Second || took > 20*time.Second {
		t.Errorf("orphan lived %v", took)
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
}
