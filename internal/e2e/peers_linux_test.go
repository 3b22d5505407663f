package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// peer is a server that muster runs as it comes from Debian.
type peer struct {
	name     string
	program  string
	files    map[string]string // in its folder
	env      []string
	variable string   // that tells the program of its sockets
	args     []string // of the program; DIR and LISTEN stand for the folder and the address
	hasty    bool     // told to stop, it closes connections that it has accepted and not yet read
}

const (
	wsgi = `import os
def app(environ, start):
    start("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return [b"pid: %d\n" % os.getpid()]
`
	asgi = `import os
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"pid: %d\n" % os.getpid()})
`
	rackup = `run ->(env) { [200, { "content-type" => "text/plain" }, ["pid: #{$$}\n"]] }
`
	nginxConf = `worker_processes 1;
error_log stderr;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server { listen LISTEN; location / { return 200 "pid: $pid\n"; } }
}
`
)

func peers() []peer {
	python := []string{"PYTHONDONTWRITEBYTECODE=1"}
	return []peer{
		{
			name: "gunicorn by descriptor", program: "gunicorn", files: map[string]string{"wsgi.py": wsgi}, env: python,
			args: []string{"-w", "1", "-b", "fd://{fd}", "wsgi:app"},
		},
		{
			name: "gunicorn by LISTEN_FDS", program: "gunicorn", files: map[string]string{"wsgi.py": wsgi}, env: python,
			args: []string{"-w", "1", "wsgi:app"},
		},
		{
			name: "uvicorn", program: "uvicorn", hasty: true, files: map[string]string{"asgi.py": asgi}, env: python,
			args: []string{"--fd", "{fd}", "--no-access-log", "asgi:app"},
		},
		{
			name: "puma by address", program: "puma", hasty: true, files: map[string]string{"config.ru": rackup},
			args: []string{"-q", "-t", "1:4", "-b", "tcp://LISTEN", "config.ru"},
		},
		{
			name: "puma by activated sockets", program: "puma", hasty: true, files: map[string]string{"config.ru": rackup},
			args: []string{"-q", "-t", "1:4", "--bind-to-activated-sockets", "only", "config.ru"},
		},
		{
			name: "nginx", program: "nginx", hasty: true, files: map[string]string{"nginx.conf": nginxConf}, variable: "NGINX={fd};",
			args: []string{"-p", "DIR", "-c", "nginx.conf", "-g", "daemon off; pid {slot}.pid;"},
		},
	}
}

// start runs the peer under muster.
func (p peer) start(t *testing.T, workers int) (r *testutil.Running, addr, dir string) {
	t.Helper()
	program := testutil.Need(t, p.program)
	dir = testutil.TempDir(t)
	addr = "127.0.0.1:" + strconv.Itoa(testutil.Port(t)) // some are told the address beside the socket
	fill := strings.NewReplacer("LISTEN", addr, "DIR", dir)
	for name, text := range p.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fill.Replace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"run", "-l", addr, "-i", strconv.Itoa(workers), "--cwd", dir, "--"}
	if p.variable != "" {
		args = append(args, "env", fill.Replace(p.variable))
	}
	args = append(args, program)
	for _, arg := range p.args {
		args = append(args, fill.Replace(arg))
	}
	env := append([]string{"MUSTER_HOME=" + testutil.TempDir(t)}, p.env...)
	return testutil.Start(t, testutil.Command{Args: args, Env: env}), addr, dir
}

// clients is how many requests are under way at most.
const clients = 4

// loaded puts load on addr until the returned function is called, which tells what the clients saw.
func loaded(t *testing.T, addr string) (seen func() *load.Result) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	result := make(chan *load.Result, 1)
	go func() { // ends with ctx
		r, err := load.Run(ctx, load.Options{Addr: addr, Clients: clients, NewConnPerRequest: true, ThinkTime: time.Millisecond, Duration: testutil.Patience, Timeout: testutil.Patience})
		if err != nil {
			t.Error(err)
		}
		result <- r
	}()
	return func() *load.Result {
		cancel()
		return <-result
	}
}

// TestPeersLoseNothingButWhatTheyHold: a peer is known to serve without being asked; when all its workers are killed at once, their
// successors serve what waited; a reload fails no request; and after the stop nothing is left.
func TestPeersLoseNothingButWhatTheyHold(t *testing.T) {
	t.Parallel()
	for _, p := range peers() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			r, addr, _ := p.start(t, 2)
			r.WaitLine("serving workers=2")
			requireOK(t, addr)
			p.tryKills(t, r, addr)
			p.tryReload(t, r, addr)
			if code := r.Stop().ExitCode(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if strings.Contains(r.Output(), "worker killed") {
				t.Error("a worker did not stop by itself")
			}
		})
	}
}

func requireOK(t *testing.T, addr string) {
	t.Helper()
	got, err := load.Run(t.Context(), load.Options{Addr: addr, Clients: 2, Count: 40, NewConnPerRequest: true, Timeout: testutil.Patience})
	if err != nil || got.OK != 40 {
		t.Fatalf("%v: %v", err, got)
	}
}

// tryKills kills all workers at once. Of the requests that were under way one per client may be lost at each kill; no other.
func (p peer) tryKills(t *testing.T, r *testutil.Running, addr string) {
	t.Helper()
	seen := loaded(t, addr)
	mark := r.Mark()
	pids := r.WaitLines(0, 2, `worker started.* pid=([0-9]+)`)
	for _, m := range pids {
		if err := syscall.Kill(pidIn(t, m), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	r.WaitLines(mark, 2, "worker exited.*SIGKILL")
	r.WaitLines(mark, 2, "worker ready")
	requireOK(t, addr)
	got := seen()
	lost := got.Reset + got.ResetMid + got.EOF + got.Truncated
	if got.OK == 0 || got.Failed() != lost || lost > clients*len(pids) {
		t.Errorf("killed: %v", got)
	}
}

// tryReload replaces the workers under load. No request fails, but those that a hasty peer has accepted and closes unread: one per client at
// most for each worker that goes.
func (p peer) tryReload(t *testing.T, r *testutil.Running, addr string) {
	t.Helper()
	const reloads = 1
	seen := loaded(t, addr)
	for range reloads {
		mark := r.Mark()
		r.Signal(syscall.SIGHUP)
		r.WaitLines(mark, 1, `reloaded`)
		r.WaitLines(mark, 2, "worker exited.*reason=superseded")
	}
	requireOK(t, addr)
	got, bound := seen(), 0
	if p.hasty {
		bound = reloads * 2 * clients
	}
	if got.OK == 0 || got.Failed() > bound || got.Failed() != got.Reset+got.EOF {
		t.Errorf("reloaded: %v", got)
	}
}

// TestABadReleaseOfAPeerTakesNobody: a program that says it is ready before it has loaded the app is not believed.
func TestABadReleaseOfAPeerTakesNobody(t *testing.T) {
	t.Parallel()
	bad := map[string]string{"wsgi.py": "raise ImportError('no such module')\n", "asgi.py": "raise ImportError('no such module')\n", "config.ru": "raise 'broken'\n"}
	for _, p := range peers() {
		if p.program == "nginx" {
			continue // it tests its configuration before it opens anything
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			r, addr, dir := p.start(t, 1)
			r.WaitLine("serving workers=1")
			seen := loaded(t, addr)
			for name := range p.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(bad[name]), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			r.Signal(syscall.SIGHUP)
			r.WaitLine("reload failed")
			requireOK(t, addr)
			if got := seen(); got.OK == 0 || got.Failed() > 0 {
				t.Errorf("%v", got)
			}
			if code := r.Stop().ExitCode(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// TestNginxDoesNotWaitInAccept: two that were woken by one connection both accept. nginx leaves an inherited socket as it is, and where that
// blocks, whoever comes second serves nobody until the next connection.
func TestNginxDoesNotWaitInAccept(t *testing.T) {
	t.Parallel()
	p := peers()[slices.IndexFunc(peers(), func(p peer) bool { return p.program == "nginx" })]
	r, _, _ := p.start(t, 1)
	pid := r.WaitLine(`worker started.* pid=([0-9]+)`)[1]
	r.WaitLine("worker ready")
	info, err := os.ReadFile("/proc/" + pid + "/fdinfo/3")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(info), "flags:")
	flags, err := strconv.ParseUint(strings.Fields(text)[0], 8, 64)
	if err != nil || flags&syscall.O_NONBLOCK == 0 {
		t.Errorf("the socket blocks: %o, %v", flags, err)
	}
	if code := r.Stop().ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}
