package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
)

// hooked starts the site of two workers with hooks that note in a file that they ran.
func hooked(t *testing.T, before string, flags ...string) *site {
	t.Helper()
	args := []string{"--before-reload", "echo before >> ran; " + before, "--after-reload", "echo after >> ran"}
	return startSite(t, append(args, flags...)...)
}

// ran is what the hooks have noted.
func (s *site) ran() string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "ran"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

func (s *site) requireRan(want string) {
	s.t.Helper()
	if got := s.ran(); got != want {
		s.t.Errorf("hooks ran as %q, want %q", got, want)
	}
}

// TestHooksRunOncePerReload: not per worker, not at the start, nor at what is no reload. What the first makes is what the new workers get.
func TestHooksRunOncePerReload(t *testing.T) {
	t.Parallel()
	s := hooked(t, "echo RELEASE=made by $MUSTER_HOOK of $MUSTER_APP > env")
	s.requireRelease("one")
	s.underLoad(func() { s.require(0, "reloaded site", "reload") })
	s.requireRelease("made by before_reload of site")
	s.requireRan("before after")
	s.require(0, "scaled site to 3", "scale", "site", "3")
	s.require(0, "rolled site back", "rollback")
	s.require(0, "upgraded", "upgrade")
	s.requireRan("before after")
	s.run.Signal(syscall.SIGHUP)
	s.run.WaitLine("hook succeeded hook=after_reload op=5")
	s.requireRan("before after before after")
	if state := s.run.Stop(); state.ExitCode() != 0 {
		t.Errorf("muster exited with %v", state)
	}
}

// TestHookThatFailsStopsTheReload before anything has happened, and one that fails afterwards is told.
func TestHookThatFailsStopsTheReload(t *testing.T) {
	t.Parallel()
	s := startSite(t, "--before-reload", "echo no table users; echo on stderr >&2; exit $(cat code)", "--after-reload", "exit $(cat late)")
	s.write("code", "3")
	s.write("late", "0")
	before := s.pids()
	s.release("two")
	r := s.require(1, "muster: reload of site failed: before_reload: exit status 3\nhint: nothing has happened", "reload")
	for _, line := range []string{"before_reload wrote at last:\n", "\n  | no table users\n", "\n  | on stderr\n"} {
		if !strings.Contains(r.stderr, line) {
			t.Errorf("no %q in %s", line, r.stderr)
		}
	}
	if after := s.pids(); after != before {
		t.Errorf("workers were %q and are %q", before, after)
	}
	s.requireRelease("one")
	a := s.show()
	if op := a.Operations[len(a.Operations)-1]; op.Hook != api.HookBeforeReload || op.Generation != 0 || a.Generation != 1 {
		t.Errorf("%+v of %+v", op, a)
	}
	s.write("code", "0")
	s.write("late", "4")
	s.require(1, "muster: reload of site failed: after_reload: exit status 4\nhint: the new workers serve", "reload")
	s.requireRelease("two")
	s.run.Stop()
}

// TestHookThatTakesTooLong is ended with all that it has started, and so is what it has left running.
func TestHookThatTakesTooLong(t *testing.T) {
	t.Parallel()
	s := startSite(t, "--hook-timeout", "300ms", "--stop-timeout", "300ms", "--before-reload", `trap '' TERM; sleep 1000 & sleep 1000; sleep 1000`)
	s.require(1, "before_reload: took longer than 300ms", "reload")
	s.requireRelease("one")
	s.run.Stop()
}

// TestReloadsWaitForAHook: reloads that are asked for while a hook runs follow in order, and so does what else would need the place.
func TestReloadsWaitForAHook(t *testing.T) {
	t.Parallel()
	s := hooked(t, "read x < gate || true")
	open := gate(t, s.dir)
	first := strings.TrimSpace(s.require(0, "", "reload", "--no-wait").stdout)
	s.run.WaitLine("hook began")
	second := strings.TrimSpace(s.require(0, "", "reload", "--no-wait").stdout)
	s.require(1, "before_reload is running\nhint: try again when the reload has ended: muster wait site "+first, "upgrade")
	s.run.Signal(syscall.SIGUSR2)
	s.run.WaitLine("upgrade refused .*before_reload is running")
	s.require(0, "before_reload runs", "explain")
	open()
	s.run.WaitLine("hook began .*op=" + second)
	open()
	s.require(0, "", "wait", "site", second)
	if got := s.ran(); strings.Count(got, "before") != 2 || strings.Count(got, "after") < 1 {
		t.Errorf("hooks ran as %q", got)
	}
	s.run.Stop()
}

// TestHookIsEndedWithItsReload: by a stop, which waits for it, and by a rollback.
func TestHookIsEndedWithItsReload(t *testing.T) {
	t.Parallel()
	const slow = `trap 'echo told to end; exit 0' TERM; echo hook is there; while :; do sleep 1000 & wait; done`
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		s := startSite(t, "--before-reload", slow)
		id := strings.TrimSpace(s.require(0, "", "reload", "--no-wait").stdout)
		s.run.WaitLine("hook is there")
		s.run.Signal(syscall.SIGTERM)
		s.run.WaitLine("told to end")
		s.run.WaitLine("hook failed .*op=" + id + " .*the app is being stopped")
		if state := s.run.WaitExit(); state.ExitCode() != 0 {
			t.Errorf("muster exited with %v", state)
		}
	})
	t.Run("stop at once", func(t *testing.T) {
		t.Parallel()
		s := startSite(t, "--before-reload", "trap '' TERM; echo hook is there; while :; do sleep 1000 & wait; done", "--stop-timeout", "1h")
		s.require(0, "", "reload", "--no-wait")
		s.run.WaitLine("hook is there")
		s.require(0, "stopped site", "stop", "--now")
		s.run.WaitExit()
	})
	t.Run("rollback", func(t *testing.T) {
		t.Parallel()
		s := startSite(t, "--before-reload", slow)
		id := strings.TrimSpace(s.require(0, "", "reload", "--no-wait").stdout)
		s.run.WaitLine("hook is there")
		s.release("two")
		s.require(0, "rolled site back", "rollback")
		s.run.WaitLine("told to end")
		s.require(1, "a rollback took its place", "wait", "site", id)
		s.requireRelease("one")
		s.run.Stop()
	})
}

// TestHookOfAKilledMaster: the next master ends what is left of the hook, and says that the reload has not begun.
func TestHookOfAKilledMaster(t *testing.T) {
	t.Parallel()
	s := kept(t)
	told := filepath.Join(s.dir, "told")
	if err := syscall.Mkfifo(told, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.startApp("--before-reload", "trap '' TERM; sleep 1000 & echo $! > told; wait"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	before := s.entry("site")
	id := strings.TrimSpace(s.require(0, "", "reload", "site", "--no-wait").stdout)
	text, err := os.ReadFile(told) // waits for the hook
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(child, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(pidfd) }()
	killAndAwait(t, before.PID)
	a := s.newMaster(before.PID, 0)
	if now, was := workerPIDs(a), workerPIDs(before.App); now != was {
		t.Errorf("workers were %s and are %s", was, now)
	}
	if r := s.require(1, "the master was killed meanwhile", "wait", "site", id); !strings.Contains(r.stderr, "nothing has happened") {
		t.Errorf("%+v", r)
	}
	polled := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	if n, err := unix.Poll(polled, 0); err != nil || n != 1 {
		t.Errorf("the hook has left a process: %d, %v", n, err)
	}
	s.requireRelease("one")
}
