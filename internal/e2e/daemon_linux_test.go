package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/testutil"
)

// kept makes a place for apps of a daemon, whose daemon is stopped at the end. No process may be left then.
func kept(t *testing.T) *site {
	t.Helper()
	return keptAt(t, testutil.TempDir(t))
}

// keptAt is kept, with a home that is there.
func keptAt(t *testing.T, home string) *site {
	t.Helper()
	s := &site{t: t, ctx: testutil.Context(t), home: home, dir: testutil.TempDir(t)}
	testutil.Sweep(t, "MUSTER_HOME="+s.home)
	t.Cleanup(func() {
		if t.Failed() {
			s.dumpLogs()
		}
		s.ctx = context.Background() // the test's has ended
		if r := s.command("daemon", "stop"); r.code != 0 {
			t.Errorf("daemon stop: %d\n%s%s", r.code, r.stdout, r.stderr)
		}
	})
	s.release("one")
	return s
}

func (s *site) dumpLogs() {
	for _, pattern := range []string{"daemon.log", "logs/*/*"} {
		files, _ := filepath.Glob(filepath.Join(s.home, pattern))
		for _, file := range files {
			text, _ := os.ReadFile(file)
			s.t.Logf("%s:\n%s", file, text)
		}
	}
}

// startApp starts the app "site" of two workers.
func (s *site) startApp(flags ...string) result {
	s.t.Helper()
	if s.addr == "" {
		s.addr = hostPort(testutil.Port(s.t))
	}
	args := append([]string{
		"start", "--name", "site", "-i", "2", "-l", s.addr, "--handoff", "node", "--env-file", "env", "--env", roleVariable + "=release",
		"--reload-settle", "50ms",
	}, flags...)
	return s.command(append(args, "--", os.Args[0])...)
}

// entry is what list says of an app.
func (s *site) entry(name string) api.Entry {
	s.t.Helper()
	var all []api.Entry
	if err := json.Unmarshal([]byte(s.require(0, "", "list", "--json").stdout), &all); err != nil {
		s.t.Fatal(err)
	}
	for _, e := range all {
		if e.Name == name {
			return e
		}
	}
	s.t.Fatalf("no app %s in %+v", name, all)
	return api.Entry{}
}

// daemonPID is the process of the daemon.
func (s *site) daemonPID() int {
	s.t.Helper()
	fields := strings.Fields(s.require(0, "process ", "daemon", "status").stdout)
	pid, err := strconv.Atoi(fields[1])
	if err != nil {
		s.t.Fatal(err)
	}
	return pid
}

// killDaemon kills the daemon and waits for its end.
func (s *site) killDaemon() {
	s.t.Helper()
	killAndAwait(s.t, s.daemonPID())
}

// killAndAwait kills a process that is no child of the test, and waits for its end by a pidfd.
func killAndAwait(t *testing.T, pid int) {
	t.Helper()
	if err := testutil.KillAndAwait(pid); err != nil {
		t.Fatal(err)
	}
}

func TestStartKeepsAnApp(t *testing.T) {
	t.Parallel()
	s := kept(t)
	if r := s.startApp(); r.code != 0 || !strings.Contains(r.stdout, "started site: 2 workers on "+s.addr) {
		t.Fatalf("%+v", r)
	}
	s.requireRelease("one")
	before := s.entry("site")
	if before.State != api.EntryRunning || before.ID != 1 || before.App == nil || before.App.Serving != 2 {
		t.Errorf("%+v", before)
	}
	if r := s.startApp(); r.code != 0 || !strings.Contains(r.stdout, "site runs already, as it should") {
		t.Errorf("again: %+v", r)
	}
	s.release("two")
	if r := s.startApp("--stop-timeout", "3s", "--hang-timeout", "5m"); r.code != 0 || !strings.Contains(r.stdout, "reloading it, for stop_timeout, hang_timeout") {
		t.Errorf("changed: %+v", r)
	}
	s.requireRelease("two")
	if now := s.entry("site"); now.PID != before.PID || now.App.Generation != 2 {
		t.Errorf("%+v", now)
	}
	s.require(0, "stopped site", "stop", "site")
	if e := s.entry("site"); e.State != api.EntryStopped || e.PID != 0 {
		t.Errorf("%+v", e)
	}
	s.require(0, "site does not run", "stop", "site")
	s.require(0, "state       stopped", "show", "site")
	s.require(4, "muster start site", "reload", "site")
	s.require(0, "started site: 2 workers", "start", "1")
	s.require(0, "started site: 2 workers", "restart", "si*")
	s.require(0, "scaled site to 3 workers", "scale", "site", "3")
	s.require(0, "started site: 3 workers", "restart", "all")
	s.require(0, "deleted site", "delete", "site")
	s.require(0, "there is no app", "list")
	s.require(2, "is neither a file", "start", "site")
}

// TestDaemonIsReplaced: the end of the daemon is noticed by nobody, and the next one goes on with what runs, and with what shall run.
func TestDaemonIsReplaced(t *testing.T) {
	t.Parallel()
	s := kept(t)
	s.startApp()
	before := s.entry("site")
	seen := s.crowd()
	for round := range 5 {
		s.killDaemon()
		if round%2 == 0 {
			s.release(fmt.Sprint("r", round))
			s.require(0, "reloaded site", "reload", "site")
		}
		if e := s.entry("site"); e.PID != before.PID || e.State != api.EntryRunning || e.ID != before.ID {
			t.Errorf("%+v", e)
		}
	}
	s.requireOnlyLostIn(nil, seen()...)
	s.require(0, "stopped site", "stop", "site")
	s.killDaemon()
	if e := s.entry("site"); e.State != api.EntryStopped {
		t.Errorf("an app that was stopped is %+v", e)
	}
}

// TestMasterIsReplaced: a master that is killed is followed by another, by itself.
func TestMasterIsReplaced(t *testing.T) {
	t.Parallel()
	s := kept(t)
	s.startApp()
	for lost := 1; lost <= 3; lost++ {
		killAndAwait(t, s.entry("site").PID)
		s.require(0, "site", "start", "site") // waits until it serves
		s.requireRelease("one")
		if e := s.entry("site"); e.Masters != lost {
			t.Errorf("%d masters were lost, not %d", e.Masters, lost)
		}
	}
}

func TestSaveAndResurrect(t *testing.T) {
	t.Parallel()
	s := kept(t)
	s.require(4, "nothing was saved", "resurrect")
	s.startApp()
	s.require(0, "started sleeper", "start", "--name", "sleeper", "--", "sleep", "1000")
	s.require(0, "scaled site to 3", "scale", "site", "3")
	s.require(0, "saved 2 apps", "save")
	s.require(0, "with it 2 apps", "daemon", "stop")
	if r := s.command("list", "--quiet"); r.stdout != "site\nsleeper\n" {
		t.Errorf("%+v", r)
	}
	if e := s.entry("site"); e.State != api.EntryStopped {
		t.Errorf("%+v", e)
	}
	s.require(0, "started sleeper", "start", "sleeper")
	s.require(0, "started 1 app: site; these run already: sleeper", "resurrect")
	s.require(0, "site runs already, as it should: 3 workers", "start", "site")
	info, err := os.Stat(filepath.Join(s.home, "dump.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(s.home, "dump.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.require(1, "dump.json", "resurrect")
}

// TestStartThatFails: the reason is told at once, and nothing half-done stays.
func TestStartThatFails(t *testing.T) {
	t.Parallel()
	s := kept(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s.require(2, "no such file", "start", "nothing.js")
	s.require(1, "address in use", "start", "-l", taken.Addr().String(), "--handoff", "node", "--", os.Args[0])
	s.require(0, "there is no app", "list")
	s.require(1, "exit status 3", "start", "--name", "broken", "--", "sh", "-c", "echo cannot open the database >&2; exit 3")
	r := s.require(0, "broken", "show", "broken")
	if !strings.Contains(r.stdout, "down") && !strings.Contains(r.stdout, "starting") {
		t.Errorf("%+v", r)
	}
	s.require(0, "deleted broken", "delete", "broken")
	s.require(1, "exit status 3", "start", "--name", "hopeless", "--max-restarts", "0", "--", "sh", "-c", "exit 3")
	c := client.New(filepath.Join(s.home, "run", ".daemon", "control.sock"))
	defer c.Close()
	if e, err := c.AwaitIdle(s.ctx, "hopeless"); err != nil || e.State != api.EntryFailed || !strings.Contains(e.Why, "exit status 3") {
		t.Errorf("%+v", e)
	}
	s.require(0, "deleted hopeless", "delete", "hopeless")
}

// TestStartsAtOnce: many starts at the same time have one daemon, and each its app.
func TestStartsAtOnce(t *testing.T) {
	t.Parallel()
	s := kept(t)
	const n = 8
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if r := s.command("start", "--name", fmt.Sprint("app", i), "--", "sleep", "1000"); r.code != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
	wg.Wait()
	if got := strings.Fields(s.command("list", "--quiet").stdout); len(got) != n {
		t.Errorf("%v", got)
	}
	s.require(0, "stopped app3", "stop", "all")
	s.require(0, "started app3", "start", "all")
}

// TestDamagedState: a file that cannot be read is put aside and told of; it keeps no other app from running.
func TestDamagedState(t *testing.T) {
	t.Parallel()
	s := kept(t)
	s.require(0, "started a", "start", "--name", "a", "--", "sleep", "1000")
	s.require(0, "started b", "start", "--name", "b", "--", "sleep", "1000")
	s.killDaemon()
	file := filepath.Join(s.home, "apps", "b.json")
	if err := os.WriteFile(file, []byte(`{"version":1,`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := s.require(0, "", "list", "--quiet")
	if r.stdout != "a\nb\n" { // its master is found all the same
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(file + ".unreadable"); err != nil {
		t.Error(err)
	}
	s.require(0, "stopped b", "stop", "b")
}

// TestDaemonStopsItsApps: TERM ends all apps in order, and then the daemon; a second signal does so at once.
func TestDaemonStopsItsApps(t *testing.T) {
	t.Parallel()
	s := kept(t)
	daemon := testutil.Start(t, testutil.Command{Args: []string{"daemon"}, Dir: s.dir, Env: []string{"MUSTER_HOME=" + s.home}})
	daemon.WaitLine("daemon serves")
	s.startApp()
	s.require(0, "started stubborn", "start", "--name", "stubborn", "--stop-timeout", "1h", "--", "sh", "-c", `trap "" TERM; while :; do sleep 1000; done`)
	stubborn := s.entry("stubborn").App
	if stubborn == nil || stubborn.Serving != 1 {
		t.Fatalf("%+v", stubborn)
	}
	daemon.Signal(syscall.SIGTERM)
	daemon.WaitLine("master ended.*app=site")
	daemon.Signal(syscall.SIGTERM)
	if code := daemon.WaitExit().ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestStartOfAFile: the apps of a file are started together, left alone when nothing has changed, and each is reloaded by what has. Nothing
// is started if anything is wrong.
func TestStartOfAFile(t *testing.T) {
	t.Parallel()
	s := kept(t)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(s.dir, "muster.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const apps = `apps:
  - name: one
    command: sleep 1000
  - name: two
    command: [sleep, "1000"]
    env: {COLOR: blue}
    environments:
      production: {env: {COLOR: red}}
`
	write(apps + "  - name: three\n    comand: x\n")
	s.require(2, "muster.yaml:10:5: ", "start")
	s.require(0, "there is no app", "list")
	write(apps)
	r := s.require(0, "started one", "start")
	if !strings.Contains(r.stdout, "started two") {
		t.Errorf("%+v", r)
	}
	s.require(0, "two runs already, as it should", "start", "muster.yaml")
	r = s.require(0, "two runs otherwise: reloading it, for env", "start", "muster.yaml", "-e", "production")
	if !strings.Contains(r.stdout, "one runs already, as it should") {
		t.Errorf("%+v", r)
	}
	s.require(2, "four", "start", "--only", "four", "muster.yaml")
	s.require(0, "stopped one", "stop", "one", "two")
	s.require(0, "started one", "start", "--only", "one", "muster.yaml")
	if e := s.entry("two"); e.State != api.EntryStopped {
		t.Errorf("%+v", e)
	}
}
