package muster_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

func pid(p *proc) string { return strconv.Itoa(p.cmd.Process.Pid) }

func TestStandalone(t *testing.T) {
	t.Parallel()
	p := start(t, workerCommand(t, "http"))
	addr := p.address()
	get(t, addr, "/")
	get(t, addr, "/panic-is-not-a-path")
	if r := do(t, client(t), "GET", "http://"+addr+"/panic", nil); r.err == nil {
		t.Errorf("a panic was answered: %v", r.head)
	}
	get(t, addr, "/") // nobody would replace the process, so it goes on
	h := holdRequest(t, p, client(t), addr)
	p.signal(syscall.SIGINT)
	h.release()
	p.line("^returned <nil>$")
	p.exits(0)
}

func TestStandaloneSecondSignal(t *testing.T) {
	t.Parallel()
	p := start(t, workerCommand(t, "http"))
	addr := p.address()
	idle := dial(t, addr)
	idle.send(getRequest)
	idle.answered(200)
	holdRequest(t, p, client(t), addr)
	p.signal(syscall.SIGTERM)
	idle.ends() // it drains
	p.signal(syscall.SIGTERM)
	p.exits(-1)
}

func TestStandaloneBound(t *testing.T) {
	t.Parallel()
	p := start(t, workerCommand(t, "hurried"))
	addr := p.address()
	holdRequest(t, p, client(t), addr)
	p.signal(syscall.SIGTERM)
	p.line("^returned <nil>$")
	p.exits(0)
}

func TestStandaloneAddresses(t *testing.T) {
	t.Parallel()
	dir := testutil.TempDir(t)
	tests := []struct {
		name string
		env  []string
		want string
	}{
		{"operator", []string{"ADDR=127.0.0.1:1", "MUSTER_LISTEN=tcp://127.0.0.1:0"}, `^127\.0\.0\.1:[1-9]`},
		{"operator's path", []string{"MUSTER_LISTEN=unix:" + dir + "/x.sock"}, "^" + dir + "/x.sock$"},
		{"any port", []string{"ADDR=", "PORT=0"}, `^\[::\]:[1-9]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, workerCommand(t, "http", tt.env...))
			p.line(strings.Replace(tt.want, "^", "^address ", 1))
		})
	}
}

func TestListenOnly(t *testing.T) {
	t.Parallel()
	p := start(t, workerCommand(t, "listen"))
	c := dial(t, p.address())
	if line, err := c.r.ReadString('\n'); line != "hello\n" {
		t.Fatal(line, err)
	}
	p.signal(syscall.SIGTERM)
	p.line("^returned <nil>$")
	p.exits(0)
}

// inherit starts a worker with sockets from descriptor 3, as systemd does: LISTEN_PID is its own pid.
func inherit(t *testing.T, role string, sockets []*os.File, env ...string) *proc {
	t.Helper()
	cmd := workerCommand(t, role, append(env, "LISTEN_FDS="+strconv.Itoa(len(sockets)))...)
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", `LISTEN_PID=$$ exec "$0"`, self(t)}
	cmd.ExtraFiles = sockets
	return start(t, cmd)
}

// notifySocket returns a notify socket's path and a function that waits for the next message.
func notifySocket(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(testutil.TempDir(t), "n")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return path, func() string {
		t.Helper()
		_ = c.SetReadDeadline(testutil.Deadline(t))
		b := make([]byte, 1000)
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestInherit(t *testing.T) {
	t.Parallel()
	l, addr := listenTCP(t)
	path, next := notifySocket(t)
	p := inherit(t, "http", []*os.File{l}, "NOTIFY_SOCKET="+path, "ADDR=:8080")
	if got := p.address(); got != addr {
		t.Errorf("address %s, want %s", got, addr)
	}
	if got := next(); got != "READY=1" {
		t.Errorf("notified %q", got)
	}
	get(t, addr, "/")
	p.signal(syscall.SIGTERM)
	if got := next(); got != "STOPPING=1" {
		t.Errorf("notified %q", got)
	}
	p.line("^returned <nil>$")
	p.exits(0)
}

func TestInheritByAddress(t *testing.T) {
	t.Parallel()
	a, one := listenTCP(t)
	b, two := listenTCP(t)
	p := inherit(t, "two", []*os.File{a, b}, "ADDR="+two, "ADDR2="+one)
	got := map[string]bool{p.address(): true, p.address(): true}
	if !got[one] || !got[two] {
		t.Errorf("addresses %v, want %s and %s", got, one, two)
	}
	get(t, one, "/")
	get(t, two, "/")
}

func TestInheritAllOfTheOperators(t *testing.T) {
	t.Parallel()
	a, one := listenTCP(t)
	b, two := listenTCP(t)
	p := inherit(t, "http", []*os.File{a, b}, "ADDR=:1", "MUSTER_LISTEN="+two+" "+one)
	p.address()
	get(t, one, "/")
	get(t, two, "/")
}

func TestInheritUnix(t *testing.T) {
	t.Parallel()
	path := filepath.Join(testutil.TempDir(t), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := inherit(t, "http", []*os.File{dup(t, l.(syscall.Conn))})
	p.address()
	c := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	if r := do(t, c, "GET", "http://x/", nil); r.err != nil {
		t.Fatal(r.err)
	}
	p.signal(syscall.SIGTERM)
	p.exits(0)
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the path belongs to the master: %v", err)
	}
}

func TestInheritedPacket(t *testing.T) {
	t.Parallel()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	p := inherit(t, "packet", []*os.File{dup(t, u.(syscall.Conn))})
	echo(t, p.address())
	p.line("^returned <nil>$")
}

func TestForeignListenPID(t *testing.T) {
	t.Parallel()
	l, inherited := listenTCP(t)
	cmd := workerCommand(t, "http", "LISTEN_FDS=1", "LISTEN_PID=1")
	cmd.ExtraFiles = []*os.File{l}
	if got := start(t, cmd).address(); got == inherited {
		t.Error("took a socket meant for another process")
	}
}

func TestWatchdog(t *testing.T) {
	t.Parallel()
	path, next := notifySocket(t)
	p := start(t, workerCommand(t, "http", "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=20000"))
	p.address()
	for seen := 0; seen < 3; {
		switch got := next(); got {
		case "WATCHDOG=1":
			seen++
		case "READY=1":
		default:
			t.Fatalf("notified %q", got)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		l, addr := listenTCP(t)
		p := inherit(t, "tls", []*os.File{l})
		p.address()
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: h2}
		c := &http.Client{Transport: tr}
		r := do(t, c, "GET", "https://"+addr+"/abilities", nil)
		want := "flush true hijack true push false from true string true deadline true"
		if h2 {
			want = "flush true hijack false push true from false string true deadline true"
		}
		if r.err != nil || r.body != want {
			t.Fatalf("%q, %v", r.body, r.err)
		}
		if got := r.head.ProtoMajor; (got == 2) != h2 {
			t.Fatalf("HTTP/%d", got)
		}
		p.signal(syscall.SIGTERM) // the idle connection of this client is closed
		p.line("^returned <nil>$")
		p.exits(0)
		tr.CloseIdleConnections()
	}
}

func TestImportsOnlyTheStandardLibrary(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(out)); got != "github.com/musterd/muster" {
		t.Errorf("dependencies: %s", got)
	}
}
