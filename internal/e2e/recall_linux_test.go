package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/testutil"
)

// killAll ends all of muster at once: the daemon and the given masters, none of which can do anything about the end of the others.
func (s *site) killAll(masters ...int) {
	s.t.Helper()
	all := append([]int{s.daemonPID()}, masters...)
	for _, pid := range all {
		if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, pid := range all {
		killAndAwait(s.t, pid)
	}
}

// TestDaemonAndMasterKilledAtOnce: everything but the workers is killed, many times. They serve on, and are the next master's of the next
// daemon: no request is lost, no worker is replaced, and what they write is in the log.
func TestDaemonAndMasterKilledAtOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range reloaders() {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := keepSite(t, kind, 2)
			e := s.entry("site")
			before := workerPIDs(e.App)
			seen := s.crowd()
			for round := range 5 {
				s.killAll(e.PID)
				s.require(0, "site", "list", "--quiet")
				a := s.newMaster(e.PID, 0)
				if got := workerPIDs(a); got != before {
					t.Errorf("round %d: workers %s, were %s", round, got, before)
				}
				e = s.entry("site")
			}
			s.requireOnlyLostIn(nil, seen()...)
			if e.Masters != 5 || e.App.Respawns != 0 {
				t.Errorf("%d masters lost, %d respawns", e.Masters, e.App.Respawns)
			}
			victim := e.App.Slots[1].Workers[0].PID
			killAndAwait(t, victim)
			s.newMaster(0, 1)
			s.require(0, "reloaded site", "reload", "site")
			s.require(0, "scaled site to 3", "scale", "site", "3")
			poll(t, "end of the old workers", func() bool { return len(strings.Fields(workerPIDs(s.entry("site").App))) == 3 })
			e = s.entry("site")
			s.killAll(e.PID)
			s.require(0, "site", "list", "--quiet")
			if got, want := workerPIDs(s.newMaster(e.PID, 1)), workerPIDs(e.App); got != want {
				t.Errorf("workers %s, were %s", got, want)
			}
			s.require(0, "stopped site", "stop", "site")
			s.require(0, "started site: 3 workers", "start", "site")
		})
	}
}

// TestDeathWhileNobodyLooks: a worker that ends while there is neither daemon nor master is replaced, once, and the others stay.
func TestDeathWhileNobodyLooks(t *testing.T) {
	t.Parallel()
	s := keepSite(t, reloaders()[1], 3)
	e := s.entry("site")
	for round := 1; round <= 3; round++ {
		lost, victim := e.PID, e.App.Slots[round%3].Workers[0].PID
		s.killAll(lost)
		killAndAwait(t, victim)
		s.require(0, "site", "list", "--quiet")
		a := s.newMaster(lost, round)
		for i, slot := range a.Slots {
			same := slot.Workers[0].PID == e.App.Slots[i].Workers[0].PID
			if same == (i == round%3) {
				t.Errorf("round %d: workers %s, were %s, killed %d", round, workerPIDs(a), workerPIDs(e.App), victim)
			}
		}
		if a.Respawns != round {
			t.Errorf("round %d: %d respawns", round, a.Respawns)
		}
		e = s.entry("site")
	}
}

// TestDaemonStopEndsWhatItLeft: apps whose daemon and master were killed are stopped by the command that stops all.
func TestDaemonStopEndsWhatItLeft(t *testing.T) {
	t.Parallel()
	s := keepSite(t, reloaders()[1], 2)
	e := s.entry("site")
	s.killAll(e.PID)
	s.require(0, "no daemon runs", "daemon", "stop", "--leave-apps")
	s.require(0, "with it 1 app", "daemon", "stop")
	for _, slot := range e.App.Slots {
		requireGone(t, slot.Workers[0].PID)
	}
	s.require(0, "no daemon runs", "daemon", "stop")
}

// TestAllDieAtOnce: nothing is left, and the app is started anew.
func TestAllDieAtOnce(t *testing.T) {
	t.Parallel()
	s := keepSite(t, reloaders()[1], 2)
	e := s.entry("site")
	s.killAll(e.PID)
	for _, slot := range e.App.Slots {
		killAndAwait(t, slot.Workers[0].PID)
	}
	s.require(0, "site", "start", "site")
	if a := s.entry("site").App; a.Serving != 2 {
		t.Errorf("%+v", a)
	}
	s.answer()
}

// TestClosedBox: a worker that has closed what it holds for the next master is replaced by it, never doubled; the others are gone on with.
func TestClosedBox(t *testing.T) {
	t.Parallel()
	s := kept(t)
	s.addr = hostPort(testutil.Port(t))
	const closes = `if [ "$MUSTER_SLOT" = 1 ]; then exec 4>&-; fi; exec "$0"`
	s.require(0, "started site", "start", "--name", "site", "-i", "2", "-l", s.addr, "--handoff", "node", "--env-file", "env",
		"--env", roleVariable+"=release", "--", "sh", "-c", closes, os.Args[0])
	e := s.entry("site")
	s.killAll(e.PID)
	s.require(0, "site", "start", "site")
	requireGone(t, e.App.Slots[1].Workers[0].PID)
	a := s.awaitApp(func(now api.Entry) bool {
		workers := now.App.Slots[1].Workers
		return now.App.State == api.AppServing && len(workers) == 1 && workers[0].PID != e.App.Slots[1].Workers[0].PID
	})
	if a.Slots[0].Workers[0].PID != e.App.Slots[0].Workers[0].PID {
		t.Errorf("workers %s, were %s", workerPIDs(a), workerPIDs(e.App))
	}
	s.requireRelease("one")
}

// TestTracingForbidden: where the kernel does not let the next master take back what the workers hold, these are ended and replaced, and the
// log says why.
func TestTracingForbidden(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can have workers of another user")
	}
	s := kept(t)
	for _, dir := range []string{s.home, s.dir} { // the other user's way to its sockets and files
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	setpriv := testutil.Need(t, "setpriv")
	powerless := func() *testutil.Running {
		daemon := testutil.Start(t, testutil.Command{
			Path: setpriv, Args: []string{"--bounding-set=-sys_ptrace", testutil.Muster(t), "daemon"}, Dir: s.dir, Env: []string{"MUSTER_HOME=" + s.home},
		})
		daemon.LeaveSurvivors()
		daemon.WaitLine("daemon serves")
		return daemon
	}
	daemon := powerless()
	s.require(0, "started sleeper", "start", "--name", "sleeper", "-i", "2", "--user", "nobody", "--", "sleep", "1000")
	e := s.entry("sleeper")
	s.killAll(e.PID)
	daemon.WaitExit()
	powerless()
	s.require(0, "sleeper", "start", "sleeper")
	for _, slot := range e.App.Slots {
		requireGone(t, slot.Workers[0].PID)
	}
	s.require(0, "pidfd_getfd: operation not permitted", "logs", "sleeper")
	if now := s.entry("sleeper"); now.PID == e.PID || now.App == nil || now.App.Serving != 2 {
		t.Errorf("%+v", now)
	}
	s.require(0, "stopped sleeper", "stop", "sleeper")
}

// requireGone waits for the end of a process that may have ended.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, int(time.Until(testutil.Deadline(t)).Milliseconds())); n != 1 {
		t.Errorf("process %d goes on: %v", pid, err)
	}
}

// TestStopIsFinished: a stop in the middle of which everything is killed is finished by the next daemon, and by the next master of the same
// daemon. Workers that are about to end are not cut short.
func TestStopIsFinished(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(s *site, master int){
		"all killed":    func(s *site, master int) { s.killAll(master) },
		"master killed": func(s *site, master int) { killAndAwait(s.t, master) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := kept(t)
			// A worker that is told to end waits for the test, and writes that it has ended in order.
			gate, done := filepath.Join(s.dir, "gate"), filepath.Join(s.dir, "done")
			if err := unix.Mkfifo(gate, 0o600); err != nil {
				t.Fatal(err)
			}
			const slow = `trap 'read line < "$1"; echo "$line" > "$2"; exit' TERM; touch "$2".runs; while :; do sleep 0.05; done`
			s.require(0, "started site", "start", "--name", "site", "--stop-timeout", "50s", "--", "sh", "-c", slow, "sh", gate, done)
			poll(t, "worker that runs", func() bool { _, err := os.Stat(done + ".runs"); return err == nil })
			e := s.entry("site")
			stop := testutil.Start(t, testutil.Command{Args: []string{"stop", "site"}, Dir: s.dir, Env: []string{"MUSTER_HOME=" + s.home}})
			stop.LeaveSurvivors()
			opened := make(chan *os.File, 1)
			go func() { // ends when the worker opens the other end
				f, err := os.OpenFile(gate, os.O_WRONLY, 0)
				if err != nil {
					t.Error(err)
				}
				opened <- f
			}()
			f := <-opened // the worker has been told
			kill(s, e.PID)
			s.require(0, "site", "list", "--quiet")
			if _, err := f.WriteString("in order\n"); err != nil {
				t.Error(err)
			}
			_ = f.Close()
			requireGone(t, e.App.Slots[0].Workers[0].PID)
			stop.WaitExit()
			c := client.New(s.daemonSocket())
			defer c.Close()
			if now, err := c.AwaitIdle(s.ctx, "site"); err != nil || now.State != api.EntryStopped {
				t.Errorf("%+v, %v", now, err)
			}
			if text, err := os.ReadFile(done); err != nil || string(text) != "in order\n" {
				t.Errorf("the worker has not finished: %q, %v", text, err)
			}
			s.require(0, "started site", "start", "site")
			s.require(0, "stopped site", "stop", "--now", "site")
		})
	}
}

// TestStrangersAreLeftAlone: what a killed muster has left names processes by numbers that are a stranger's now. That goes on, and the app is
// started anew. So it is with what was left before the machine was started.
func TestStrangersAreLeftAlone(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"pid of another process", "before the boot"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := keepSite(t, reloaders()[1], 2)
			stranger := exec.Command("sleep", "1000")
			stranger.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := stranger.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- stranger.Wait() }() // ends with the stranger
			defer func() { _ = stranger.Process.Kill() }()
			e := s.entry("site")
			s.killAll(e.PID)
			for _, slot := range e.App.Slots {
				killAndAwait(t, slot.Workers[0].PID)
			}
			pid := strconv.Itoa(stranger.Process.Pid)
			records, err := filepath.Glob(filepath.Join(s.home, "run", ".m*", "w*"))
			if err != nil || len(records) != 2 {
				t.Fatalf("records of workers: %v, %v", records, err)
			}
			for _, path := range records {
				rewrite(t, path, `"pid":\d+`, `"pid":`+pid)
				if kind == "before the boot" { // the number and the time of the start are right
					rewrite(t, path, `"born":"[^"]*"`, `"born":"another-boot:`+startOf(t, pid)+`"`)
				}
			}
			for _, name := range []string{"site", ".daemon"} {
				rewrite(t, filepath.Join(s.home, "run", name, "master.json"), `"pid": \d+`, `"pid": `+pid)
			}
			s.require(0, "site", "list", "--quiet")
			s.require(0, "site", "start", "site")
			if a := s.entry("site").App; a.Serving != 2 {
				t.Errorf("%+v", a)
			}
			s.require(0, "stopped site", "stop", "site")
			s.killDaemon()
			rewrite(t, filepath.Join(s.home, "run", ".daemon", "master.json"), `"pid": \d+`, `"pid": `+pid)
			s.require(0, "", "daemon", "stop")
			select {
			case err := <-ended:
				t.Errorf("the stranger was ended: %v", err)
			default:
			}
		})
	}
}

// rewrite replaces a part of a file, which must be there.
func rewrite(t *testing.T, path, pattern, by string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	re := regexp.MustCompile(pattern)
	if !re.Match(text) {
		t.Fatalf("%s has no %s: %s", path, pattern, text)
	}
	if err := os.WriteFile(path, re.ReplaceAll(text, []byte(by)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startOf is when a process was started, in clock ticks after the boot.
func startOf(t *testing.T, pid string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	const start = 19 // of the fields behind the name
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))[start]
}
