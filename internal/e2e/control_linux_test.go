package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/musterd/muster"
	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

func init() {
	roles["release"] = releaseWorker
	roles["stranger"] = stranger
}

// releaseWorker serves and says which release it is, unless it is a bad one.
func releaseWorker() {
	release := os.Getenv("RELEASE")
	if release == "bad" || os.Getenv("MUSTER_SLOT") == os.Getenv("BAD_SLOT") {
		fmt.Fprintln(os.Stderr, "cannot open the database")
		os.Exit(3)
	}
	answer := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "release %s pid: %d\n", release, os.Getpid())
	}
	if err := muster.ListenAndServe("127.0.0.1:0", http.HandlerFunc(answer)); err != nil {
		panic(err)
	}
}

// site is an app of release workers, and what commands it.
type site struct {
	t    *testing.T
	run  *testutil.Running
	home string
	dir  string // that it was started in; holds the file env
	addr string
	ctx  context.Context // of commands; nil: the test's
}

func startSite(t *testing.T, flags ...string) *site {
	t.Helper()
	s := &site{t: t, home: testutil.TempDir(t), dir: testutil.TempDir(t)}
	s.release("one")
	s.start(flags...)
	return s
}

func (s *site) start(flags ...string) {
	s.t.Helper()
	args := append([]string{
		"run", "--name", "site", "-i", "2", "-l", "127.0.0.1:0", "--handoff", "node", "--env-file", "env", "--env", roleVariable + "=release",
		"--reload-settle", "50ms",
	}, flags...)
	s.run = testutil.Start(s.t, testutil.Command{
		Args: append(args, "--", os.Args[0]), Dir: s.dir, Env: []string{"MUSTER_HOME=" + s.home, "GORACE=atexit_sleep_ms=0"},
	})
	s.addr = s.run.WaitLine(`master started.*\b(127\.0\.0\.1:\d+)`)[1]
	s.run.WaitLine(`serving workers=2`)
}

// release makes the next generation another release.
func (s *site) release(name string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "env"), []byte("RELEASE="+name+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// result is what a command did.
type result struct {
	code           int
	stdout, stderr string
}

// command runs muster with these arguments in the site's directory.
func (s *site) command(args ...string) result {
	s.t.Helper()
	ctx := s.ctx
	if ctx == nil {
		ctx = testutil.Context(s.t)
	}
	cmd := exec.CommandContext(ctx, testutil.Muster(s.t), args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "MUSTER_HOME="+s.home)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		s.t.Fatalf("muster %v: %v", args, err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// require runs a command that has to end with that code and to print that, on whichever stream.
func (s *site) require(code int, text string, args ...string) result {
	s.t.Helper()
	r := s.command(args...)
	if r.code != code || !strings.Contains(r.stdout+r.stderr, text) {
		s.t.Fatalf("muster %s: exit code %d, want %d and %q\n%s%s", strings.Join(args, " "), r.code, code, text, r.stdout, r.stderr)
	}
	return r
}

func (s *site) pids() string {
	s.t.Helper()
	return s.require(0, "", "show", "--quiet").stdout
}

// answer is what a worker says.
func (s *site) answer() string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(testutil.Context(s.t), http.MethodGet, "http://"+s.addr, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(body)
}

func (s *site) requireRelease(name string) {
	s.t.Helper()
	if got := s.answer(); !strings.HasPrefix(got, "release "+name+" ") {
		s.t.Errorf("answer %q, want that of release %s", got, name)
	}
}

// underLoad requires that no request fails while do runs.
func (s *site) underLoad(do func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(testutil.Context(s.t))
	defer cancel()
	results := make(chan *load.Result, 1)
	go func() { // ends with ctx
		got, err := load.Run(ctx, load.Options{Addr: s.addr, Clients: 4, Count: 1 << 30, NewConnPerRequest: true})
		if err != nil {
			s.t.Error(err)
		}
		results <- got
	}()
	do()
	cancel()
	if got := <-results; got == nil || got.Failed() > 0 || got.OK == 0 {
		s.t.Errorf("load: %v", got)
	}
}

func TestReloadByCommandLosesNothing(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	s.requireRelease("one")
	s.release("two")
	before := s.pids()
	s.underLoad(func() { s.require(0, "reloaded site: 2 workers in generation 2", "reload", "site") })
	if after := s.pids(); after == before || strings.Count(after, "\n") < 2 {
		t.Errorf("workers were %q and are %q", before, after)
	}
	s.requireRelease("two")

	s.underLoad(func() { s.require(0, "rolled site back: 2 workers in generation 3", "rollback") })
	s.requireRelease("one")
	s.require(0, "in generation 4", "rollback")
	s.requireRelease("two")
}

func TestBadReleaseChangesNothing(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	before := s.pids()
	s.release("bad")
	s.underLoad(func() {
		r := s.require(1, "reload of site failed: worker 3 of the new generation: exit status 3", "reload", "site")
		if !strings.Contains(r.stderr, "\n  | cannot open the database\n") || !strings.Contains(r.stderr, "\nhint: ") {
			t.Errorf("stderr: %s", r.stderr)
		}
	})
	if after := s.pids(); after != before {
		t.Errorf("workers were %q and are %q", before, after)
	}
	s.requireRelease("one")
	s.require(0, "worker 3 failed", "explain")
	s.require(1, "there is no generation to go back to", "rollback")

	s.release("'open")
	s.require(1, "env:1: ", "reload")
	s.requireRelease("one")
	s.respawnKeepsTheRelease()
}

// respawnKeepsTheRelease kills a worker while the files are of another release: what follows it is as it was.
func (s *site) respawnKeepsTheRelease() {
	s.t.Helper()
	pid, err := strconv.Atoi(strings.Fields(s.pids())[0])
	if err != nil {
		s.t.Fatal(err)
	}
	mark := s.run.Mark()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	s.run.WaitLines(mark, 1, `worker ready`)
	s.requireRelease("one")
}

func TestHangupReadsTheFilesAgain(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	s.release("two")
	s.run.Signal(syscall.SIGHUP)
	s.run.WaitLines(0, 2, `worker exited`)
	s.requireRelease("two")
}

func TestScaleByCommand(t *testing.T) {
	t.Parallel()
	s := startSite(t, "--max-starting", "4")
	s.underLoad(func() {
		s.require(0, "scaled site to 4 workers", "scale", "site", "+2")
		s.require(0, "scaled site to 3 workers", "scale", "-1")
		s.require(0, "scaled site to 3 workers", "scale", "3", "--quiet=false")
	})
	if got := strings.Count(s.pids(), "\n"); got != 3 {
		t.Errorf("%d workers", got)
	}
	s.require(2, "none would be left", "scale", "site", "-3")
	s.require(2, "is not a number of workers", "scale", "site", "many")
	s.require(2, "takes the names of apps and a number of workers", "scale")
}

func TestScaleToASlotThatCrashesFails(t *testing.T) {
	t.Parallel()
	s := startSite(t, "--env", "BAD_SLOT=2")
	before := s.pids()
	r := s.require(1, "scale of site failed: slot 2 is crash-looping: exit status 3", "scale", "site", "3")
	if !strings.Contains(r.stderr, "  | cannot open the database\n") || !strings.Contains(r.stderr, "hint: ") {
		t.Errorf("stderr: %s", r.stderr)
	}
	s.require(0, "slot 2 is crash-looping", "explain")
	s.require(0, "scaled site to 2 workers", "scale", "2")
	if after := s.pids(); after != before {
		t.Errorf("workers were %q and are %q", before, after)
	}
}

func TestOperationsInTheBackground(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	id := strings.TrimSpace(s.require(0, "", "reload", "--no-wait").stdout)
	r := s.require(0, `"state": "done"`, "wait", "site", id, "--json")
	var op api.Operation
	if err := json.Unmarshal([]byte(r.stdout), &op); err != nil || op.ID != id || op.Kind != api.OperationReload || op.Done != 2 || op.Total != 2 {
		t.Errorf("%+v, %v", op, err)
	}
	s.require(4, "there is no such operation", "wait", "99")
	s.require(5, "timed out after 1ms", "reload", "--timeout", "1ms")
}

func TestStopByCommand(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	events := s.follow()
	s.require(0, "stopped site\n", "stop", "site")
	if state := s.run.WaitExit(); state.ExitCode() != 0 {
		t.Errorf("muster ended with %v", state)
	}
	events.WaitExit()
	if out := events.Output(); !strings.Contains(out, `"kind":"stopping"`) || !strings.Contains(out, `"kind":"stopped"`) {
		t.Errorf("events: %s", out)
	}
	s.require(4, "there is no app named site", "stop", "site")
	s.require(4, "no app was started from this directory", "show")
	s.require(0, "there is no app", "list")
	if left, err := filepath.Glob(s.home + "/run/*"); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	s.start()
	s.require(0, "serving", "list")
}

// follow starts a command that prints events, and waits for the first.
func (s *site) follow() *testutil.Running {
	s.t.Helper()
	r := testutil.Start(s.t, testutil.Command{Args: []string{"events", "-f", "--json"}, Dir: s.dir, Env: []string{"MUSTER_HOME=" + s.home}})
	r.WaitLine(`"kind":"started"`)
	return r
}

func TestNameBelongsToOne(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	r := s.require(1, fmt.Sprintf("an app named site runs already, its master is process %d", s.run.Pid()), "run", "--name", "site", "--", "sleep", "60")
	if !strings.Contains(r.stderr, "hint: choose another name with --name") {
		t.Errorf("stderr: %s", r.stderr)
	}
	s.require(4, "did you mean site?", "show", "sit")
	s.require(0, "name        site", "show", s.dir)
}

func TestKilledMasterIsNotListed(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	if err := syscall.Kill(s.run.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.run.WaitExit()
	s.require(0, "there is no app", "list")
	s.require(4, "there is no app named site", "reload", "site")
	if err := os.WriteFile(filepath.Join(s.home, "run", "stale"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	if got := s.require(0, "", "list", "-q").stdout; got != "site\n" {
		t.Errorf("list: %q", got)
	}
}

func TestStateOutlivesAnUpgrade(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	s.require(0, "", "reload")
	s.run.WaitLines(0, 2, `worker exited`)
	before := s.state()
	s.underLoad(func() { s.require(0, "upgraded the master of site", "upgrade") })
	after := s.state()
	if before.PID != after.PID || len(after.Operations) != 2 || after.Previous != 1 || after.Revision <= before.Revision {
		t.Errorf("before %+v, after %+v", before, after)
	}
	measured := cmpopts.IgnoreFields(api.Worker{}, "Usage")
	if diff := cmp.Diff(before.Slots, after.Slots, measured); diff != "" {
		t.Error(diff)
	}
	s.release("two")
	s.require(0, "generation 3", "reload")
	s.requireRelease("two")
	s.require(0, "generation 4", "rollback")
	s.requireRelease("one")
	s.require(1, "runs already", "run", "--name", "site", "--", "sleep", "60")
	s.require(0, "stopped site", "stop")
}

func (s *site) state() api.App {
	s.t.Helper()
	var a api.App
	if err := json.Unmarshal([]byte(s.require(0, "", "show", "--json").stdout), &a); err != nil {
		s.t.Fatal(err)
	}
	return a
}

// The lines for curl in HACKING.md do what they say.
func TestHackingKnowsTheAPI(t *testing.T) {
	t.Parallel()
	testutil.Need(t, "curl")
	text, err := os.ReadFile(filepath.Join(testutil.Root(), "HACKING.md"))
	if err != nil {
		t.Fatal(err)
	}
	script := `set -e; curl() { command curl -fsS -m 3 "$@" || test $? = 28; echo; }` + "\n" // 28: events have no end
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "S=") || strings.HasPrefix(line, "curl --unix-socket ") {
			script += line
		}
	}
	s := startSite(t, "--name", "demo")
	cmd := exec.CommandContext(testutil.Context(t), "sh", "-c", script)
	cmd.Env = append(os.Environ(), "MUSTER_HOME="+s.home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
	for _, want := range []string{`{"status":"ok"}`, `"name":"demo"`, `"kind":"snapshot"`, `"kind":"reload"`, `"kind":"scale"`, `"kind":"stop"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	s.run.WaitExit()
}

// stranger asks a master as whoever it is.
func stranger() {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", os.Getenv("E2E_SOCKET"))
	}
	c := http.Client{Transport: &http.Transport{DialContext: dial}}
	for _, path := range []string{api.PathHealth, api.PathApp, api.PathEvents} {
		resp, err := c.Get("http://muster" + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		fmt.Printf("%s %d %s", path, resp.StatusCode, body)
	}
}

func TestStrangerIsRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	s := startSite(t)
	socket := s.home + "/run/site/control.sock"
	ask := func() string {
		cmd := exec.CommandContext(testutil.Context(t), "/proc/self/exe")
		cmd.Env = append(os.Environ(), roleVariable+"=stranger", "E2E_SOCKET="+socket)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if got := ask(); !strings.Contains(got, "permission denied") {
		t.Errorf("the folder is open: %s", got)
	}
	for path, mode := range map[string]os.FileMode{s.home: 0o755, s.home + "/run": 0o755, s.home + "/run/site": 0o755, socket: 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	got := ask()
	if !strings.Contains(got, "/healthz 200") || strings.Count(got, " 403 ") != 2 || !strings.Contains(got, "user 65534 may not control an app of user 0") {
		t.Errorf("got %s", got)
	}
}
