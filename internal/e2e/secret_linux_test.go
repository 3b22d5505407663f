package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// walk visits every file and folder under root that is still there.
func walk(t *testing.T, root string, visit func(path string, info fs.FileInfo)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if info, err := entry.Info(); err == nil {
			visit(path, info)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// requirePrivate requires that everything under the folder of muster is its owner's alone.
func (s *site) requirePrivate(when string) {
	s.t.Helper()
	n := 0
	walk(s.t, s.home, func(path string, info fs.FileInfo) {
		n++
		if info.Mode().Perm()&0o077 != 0 {
			s.t.Errorf("%s: %s is %v", when, path, info.Mode())
		}
	})
	if n < 10 {
		s.t.Errorf("%s: only %d files", when, n)
	}
}

// openly runs muster with a umask that forbids nothing.
func (s *site) openly(text string, args ...string) {
	s.t.Helper()
	cmd := exec.CommandContext(testutil.Context(s.t), "sh", append([]string{"-c", `umask 000; exec "$0" "$@"`, testutil.Muster(s.t)}, args...)...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "MUSTER_HOME="+s.home)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), text) {
		s.t.Fatalf("muster %v: %v\n%s", args, err, out)
	}
}

// TestFilesAreTheirOwnersAlone: whatever the umask of the shell that began it all.
func TestFilesAreTheirOwnersAlone(t *testing.T) {
	t.Parallel()
	s := kept(t)
	if err := os.Chmod(s.home, 0o777); err != nil {
		t.Fatal(err)
	}
	s.addr = hostPort(testutil.Port(t))
	s.openly("started site", "start", "--name", "site", "-i", "2", "-l", s.addr, "--handoff", "node", "--env-file", "env", "--env", roleVariable+"=release",
		"--reload-settle", "50ms", "--log-files", "worker", "--log-max-size", "1K", "--max-requests", "1000000", "--", os.Args[0])
	s.openly("started broken", "start", "--name", "broken", "--no-wait", "--", "sh", "-c", "echo out; echo err >&2; exit 1")
	s.openly("started noisy", "start", "--name", "noisy", "--log-max-size", "1K", "--", "sh", "-c", "seq 1 10000; exec sleep 1000")
	s.openly("saved 3 apps", "save")
	s.requirePrivate("running")
	s.openly("reloaded site", "reload", "site")
	s.killDaemon()
	killAndAwait(t, s.entry("site").PID)
	s.openly("site", "start", "site")
	s.openly("stopped site", "stop", "site")
	s.requirePrivate("after the death of daemon and master")
}

// hidden are texts that nobody may be shown or find on the disk.
type hidden struct {
	s     *site
	texts []string
}

// onDisk requires that no file under the folder of muster holds one.
func (h hidden) onDisk(when string) {
	h.s.t.Helper()
	n := 0
	walk(h.s.t, h.s.home, func(path string, info fs.FileInfo) {
		if !info.Mode().IsRegular() {
			return
		}
		n++
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			h.s.t.Error(err)
		}
		for _, text := range h.texts {
			if bytes.Contains(data, []byte(text)) {
				h.s.t.Errorf("%s: %s holds %s", when, path, text)
			}
		}
	})
	if n < 5 {
		h.s.t.Errorf("%s: only %d files", when, n)
	}
}

func (h hidden) in(where, what string) {
	h.s.t.Helper()
	for _, text := range h.texts {
		if i := strings.Index(what, text); i >= 0 {
			h.s.t.Errorf("%s shows %s: …%s…", where, text, what[max(0, i-60):min(len(what), i+60)])
		}
	}
}

// get is what an API answers on a socket.
func get(t *testing.T, socket, path string) string {
	t.Helper()
	var dialer net.Dialer
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(testutil.Context(t), http.MethodGet, "http://muster"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v\n%s", path, resp.Status, err, body)
	}
	return string(body)
}

// TestSecretsOfFilesStayInThem: a value of an environment file reaches the workers, and neither the disk nor anybody's eyes.
func TestSecretsOfFilesStayInThem(t *testing.T) {
	t.Parallel()
	s := kept(t)
	h := hidden{s, []string{"s3cr3t-of-the-file", "s3cr3t-of-the-url", "n3xt-s3cr3t"}}
	write := func(password string) {
		text := "RELEASE=one\nDB_PASSWORD=" + password + "\nDATABASE_URL=postgres://me:s3cr3t-of-the-url@db/x\n"
		if err := os.WriteFile(filepath.Join(s.dir, "env"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("s3cr3t-of-the-file")
	s.startApp()
	h.onDisk("running")
	s.require(0, "saved 1 app", "save")
	h.onDisk("saved")
	s.killDaemon()
	s.entry("site")
	h.onDisk("after the death of the daemon")
	killAndAwait(t, s.entry("site").PID)
	s.require(0, "site", "start", "site")
	h.onDisk("after the death of the master")
	write("n3xt-s3cr3t")
	s.require(0, "reloaded site", "reload", "site")
	h.onDisk("reloaded")
	s.require(0, "DB_PASSWORD=n3xt-s3cr3t\n", "env", "site", "--reveal")
	s.require(0, "DB_PASSWORD=***\n", "env", "site")
	s.require(0, "DATABASE_URL=postgres://me:***@db/x\n", "env", "site", "--slot", "1")
	s.require(4, "site has no worker in slot 2", "env", "site", "--slot", "2")
	s.require(0, "started site", "restart", "site")
	s.require(0, "DB_PASSWORD=n3xt-s3cr3t\n", "env", "site", "--reveal")
	h.onDisk("restarted")
	s.require(0, "deleted site", "delete", "site")
	s.require(0, "started 1 app", "resurrect")
	s.require(0, "site", "start", "site")
	s.require(0, "DB_PASSWORD=n3xt-s3cr3t\n", "env", "site", "--reveal")
	h.onDisk("resurrected")
}

// TestSecretsAreMasked: what was written on the command line is kept, for its owner alone, and shown on request alone.
func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	s := kept(t)
	h := hidden{s, []string{"s3cr3t-of-env", "s3cr3t-of-flag", "s3cr3t-of-word", "s3cr3t-of-error"}}
	args := []string{"start", "--name", "site", "--env", "API_TOKEN=s3cr3t-of-env", "--env", "MODE=plain", "--", "sh", "-c", "sleep 1000; true", "x", "--password=s3cr3t-of-flag", "--api-key", "s3cr3t-of-word"}
	s.require(0, "started site", args...)
	failing := s.command("start", "--name", "failing", "--", "sh", "-c", "echo 'no way to redis://:s3cr3t-of-error@db' >&2; exit 3")
	if failing.code != 1 {
		t.Errorf("%+v", failing)
	}
	h.in("start", failing.stdout+failing.stderr)
	entry := s.entry("site")
	daemon := filepath.Join(s.home, "run", ".daemon", "control.sock")
	views := [][]string{{"list", "--json"}, {"explain", "failing"}, {"show", "failing", "--json"}, {"events", "failing", "--json"}}
	for _, view := range slices.Concat(views, [][]string{{"show", "site"}, {"show", "site", "--json"}, {"explain", "site"}, {"env", "site"}, {"env", "site", "--json"}, {"events", "site"}, {"events", "site", "--json"}}) {
		h.in(strings.Join(view, " "), s.require(0, "", view...).stdout)
	}
	for _, path := range []string{"/v1/app", "/v1/env"} {
		h.in("GET "+path, get(t, entry.Socket, path))
	}
	for _, path := range []string{"/v1/apps", "/v1/apps?with=apps,env", "/v1/apps/site", "/v1/apps/site?with=env"} {
		h.in("GET "+path, get(t, daemon, path))
	}
	for path, socket := range map[string]string{"/v1/app?with=secrets": entry.Socket, "/v1/apps?with=apps,secrets": daemon} {
		if got := get(t, socket, path); !strings.Contains(got, "--password=s3cr3t-of-flag") || !strings.Contains(got, "s3cr3t-of-env") {
			t.Errorf("GET %s: %s", path, got)
		}
	}
	s.require(0, `"MODE": "plain"`, "show", "site", "--json")
	for _, view := range [][]string{{"show", "site", "--json", "--reveal"}, {"list", "--json", "--reveal"}, {"env", "site", "--reveal"}} {
		s.require(0, "s3cr3t-of-env", view...)
	}
	s.require(0, "--api-key s3cr3t-of-word", "show", "site", "--reveal")
	s.require(0, "--api-key s3cr3t-of-word", "explain", "site", "--reveal")
	for _, view := range views {
		s.require(0, "s3cr3t-of-error", append(view, "--reveal")...)
	}
	s.require(0, "stopped site", "stop", "site")
	h.in("show of a stopped app", s.require(0, "--password=***", "show", "site").stdout)
	s.require(0, "--password=s3cr3t-of-flag", "show", "site", "--reveal")
}
