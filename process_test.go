package muster_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
)

// proc is a process of a test: a worker or a master in JavaScript.
type proc struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string   // of stdout; closed at its end
	ended chan struct{} // closed when the process has been waited for

	mu     sync.Mutex
	stderr strings.Builder
	seen   []string // lines received so far
}

// start runs cmd in a process group that does not outlive the test.
func start(t *testing.T, cmd *exec.Cmd) *proc {
	t.Helper()
	p := &proc{t: t, cmd: cmd, lines: make(chan string, 1000), ended: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = p
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.run(stdout)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
		if t.Failed() {
			t.Logf("process %d: stdout %q, stderr:\n%s", cmd.Process.Pid, p.seen, p.errors())
		}
	})
	return p
}

// run ends with the process.
func (p *proc) run(stdout io.Reader) {
	defer close(p.ended)
	for s := bufio.NewScanner(stdout); s.Scan(); {
		p.lines <- s.Text()
	}
	close(p.lines)
	_ = p.cmd.Wait()
}

func (p *proc) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.Write(b)
}

func (p *proc) errors() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// line waits for a line of stdout that matches and returns its submatches.
func (p *proc) line(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(time.Until(testutil.Deadline(p.t)))
	for {
		select {
		case l, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("no line %q; stdout %q", pattern, p.seen)
			}
			p.seen = append(p.seen, l)
			if m := re.FindStringSubmatch(l); m != nil {
				return m
			}
		case <-deadline:
			p.t.Fatalf("no line %q in time; stdout %q", pattern, p.seen)
		}
	}
}

// address is where the worker says that it serves.
func (p *proc) address() string { p.t.Helper(); return p.line(`^address (.*)`)[1] }

// exits waits for the end of the process.
func (p *proc) exits(code int) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(time.Until(testutil.Deadline(p.t))):
		p.t.Fatalf("process did not end; stdout %q, stderr:\n%s", p.seen, p.errors())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("exit code %d, want %d (%v)", got, code, p.cmd.ProcessState)
	}
}

func (p *proc) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// workerCommand is the test binary in a role.
func workerCommand(t *testing.T, role string, env ...string) *exec.Cmd {
	cmd := exec.Command(self(t))
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "ADDR=127.0.0.1:0", "ADDR2=127.0.0.1:0")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func self(t *testing.T) string {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// held is a request that the worker answers when the test lets it.
type held struct {
	t    *testing.T
	body *io.PipeWriter
	resp chan result
}

type result struct {
	body string
	head *http.Response
	err  error
}

// holdRequest sends a request and returns when the worker is handling it.
func holdRequest(t *testing.T, p *proc, c *http.Client, addr string) *held {
	t.Helper()
	r, w := io.Pipe()
	h := &held{t, w, make(chan result, 1)}
	go func() { h.resp <- do(t, c, "POST", "http://"+addr+"/hold", r) }()
	p.line(`^holding$`)
	return h
}

// release lets the request end and requires the answer.
func (h *held) release() *http.Response {
	h.t.Helper()
	_ = h.body.Close()
	r := <-h.resp
	if r.err != nil || r.body != "held\n" {
		h.t.Fatalf("held request: %q, %v", r.body, r.err)
	}
	return r.head
}

func do(t *testing.T, c *http.Client, method, url string, body io.Reader) result {
	ctx, cancel := context.WithDeadline(context.Background(), testutil.Deadline(t))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return result{err: err}
	}
	resp, err := c.Do(req)
	if err != nil {
		return result{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return result{string(b), resp, err}
}

// get asks on a new connection and requires an answer.
func get(t *testing.T, addr, path string) result {
	t.Helper()
	r := do(t, client(t), "GET", "http://"+addr+path, nil)
	if r.err != nil {
		t.Fatalf("get %s: %v", path, r.err)
	}
	return r
}

// client has connections of its own.
func client(t *testing.T) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// rawConn is a connection on which a test speaks HTTP by itself.
type rawConn struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *rawConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(testutil.Deadline(t))
	return &rawConn{c, t, bufio.NewReader(c)}
}

func (c *rawConn) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// answered reads a response and requires its status.
func (c *rawConn) answered(status int) *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		c.t.Fatal(err)
	}
	if resp.StatusCode != status {
		c.t.Fatalf("status %d, want %d", resp.StatusCode, status)
	}
	return resp
}

// ends requires the end of the stream.
func (c *rawConn) ends() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err != io.EOF {
		c.t.Fatalf("read %q, %v; want the end", b, err)
	}
}

const getRequest = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// listenTCP returns a listening socket that the test holds, as a descriptor whose flags nobody touches.
func listenTCP(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return dup(t, l.(syscall.Conn)), l.Addr().String()
}

// dup returns a duplicate of a socket as a file that leaves O_NONBLOCK alone.
func dup(t *testing.T, c syscall.Conn) *os.File {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	if cerr := raw.Control(func(s uintptr) { fd, err = syscall.Dup(int(s)) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), fmt.Sprint("socket ", fd))
	t.Cleanup(func() { f.Close() })
	return f
}
