package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
	"golang.org/x/sys/unix"
)

// stop ends a run in good order and requires that nothing is left.
func (r *robustRun) stop(t testing.TB) {
	t.Helper()
	r.Signal(syscall.SIGTERM)
	r.requireExit(t, 0)
	r.requireNothingLeft(t, true)
}

// address is what the master listens on.
func (r *robustRun) address() string {
	return r.WaitLine(`master started.*listen="?(?:\w+://)?([^\s"]+)`)[1]
}

// pidIn is the number in the n-th event that begins with a word.
func pidIn(t testing.TB, event []string) int {
	t.Helper()
	pid, err := strconv.Atoi(event[1])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// handleOn opens a process, so that its end can be waited for.
func handleOn(t testing.TB, pid int) int {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("open process %d: %v", pid, err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// TestASlotThatCannotBootLeavesTheOthersAlone: it is tried again ever more slowly, which the log says with the worker's last words, while the
// other slots serve everything.
func TestASlotThatCannotBootLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "sickly", "-i", "2", "-l", "127.0.0.1:0", "--handoff", "inherit")
	r.wait(1, "^worker .* slot 1")
	r.WaitLine("worker ready")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // ends with the line, or with the process
		defer cancel()
		r.WaitLine("slot is crash-looping")
	}()
	seen, err := load.Run(ctx, load.Options{Addr: r.address(), Clients: 2, NewConnPerRequest: true, Duration: time.Minute})
	if err != nil || seen.Failed() > 0 || seen.OK == 0 {
		t.Errorf("%v: %v", err, seen)
	}
	r.WaitLine("slot is crash-looping.*slot=0")
	if !strings.Contains(r.Output(), "cannot find my database") || !strings.Contains(r.Output(), "exit status 7") {
		t.Error("the log does not say why")
	}
	requireSlowing(t, r.all("^start ([0-9]+)"))
	r.stop(t)
}

// requireSlowing fails the test if a slot was filled faster than the backoff allows: from 100 ms, doubling, less a quarter.
func requireSlowing(t *testing.T, starts [][]string) {
	t.Helper()
	least := 75 * time.Millisecond
	for i := 1; i < len(starts); i++ {
		pause := time.Duration(pidIn(t, starts[i])-pidIn(t, starts[i-1])) * time.Microsecond
		if pause < least {
			t.Errorf("start %d came %v after the one before, want %v at least", i+1, pause, least)
		}
		least *= 2
	}
}

// TestAWorkerThatIsNeverReady is ended at the start timeout, by force if need be, and another is tried.
func TestAWorkerThatIsNeverReady(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "deaf", "-i", "1", "--handoff", "none", "--ready", "notify", "--start-timeout", "500ms", "--stop-timeout", "200ms")
	r.WaitLine("worker not ready in time.*slot=0")
	r.WaitLine("worker killed")
	r.WaitLine("worker exited.*SIGKILL.*reason=\"not ready\"")
	r.wait(2, "^worker ")
	r.stop(t)
}

// TestADeadWorkersTreeDiesBeforeItsReplacement: nothing that it left can stand in the way of who comes next.
func TestADeadWorkersTreeDiesBeforeItsReplacement(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"family", "stray"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			r := startRobust(t, role, "-i", "1", "--handoff", "none", "--min-uptime", "1ms")
			worker, left := pidIn(t, r.wait(1, "^worker (.*)")[0]), pidIn(t, r.wait(1, "^limb (.*)")[0])
			limb := handleOn(t, left)
			r.WaitLine("worker ready")
			if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			r.WaitLine("worker exited.*killed by SIGKILL")
			if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(limb), Events: unix.POLLIN}}, 0); n != 1 {
				t.Error("the exit was told while a descendant lived")
			}
			r.wait(2, "^worker ")
			r.stop(t)
		})
	}
}

// TestGarbageOnTheNotifySocket: a worker that babbles is ready when it says so, is held for nothing that it did not say, and holds up nobody.
func TestGarbageOnTheNotifySocket(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "babbler", "-i", "1", "--handoff", "none", "--ready", "notify")
	r.wait(1, "^worker ")
	r.WaitLine("worker ready")
	lines := strings.Count(r.Output(), "\n")
	poll(t, "time to babble", func() bool { return cpuOf(t, pidIn(t, r.all("^worker (.*)")[0])) > 30 })
	if now := strings.Count(r.Output(), "\n"); now-lines > 100 {
		t.Errorf("the log grew by %d lines", now-lines)
	}
	r.stop(t)
	if n := strings.Count(r.Output(), "worker started"); n != 1 {
		t.Errorf("%d workers were started, want 1", n)
	}
}

// cpuOf is the CPU time of a process, in hundredths of a second.
func cpuOf(t testing.TB, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return user + system
}

// TestADyingWorkerIsReplacedFirst: who says STOPPING=1 is told to go when another is there.
func TestADyingWorkerIsReplacedFirst(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "dying", "-i", "1", "--handoff", "none", "--ready", "notify")
	first := pidIn(t, r.wait(1, "^worker (.*)")[0])
	r.WaitLine("serving")
	if err := syscall.Kill(first, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.WaitLine("worker is dying")
	r.wait(1, "^told to go "+strconv.Itoa(first))
	if events := r.all("^worker|^told"); len(events) != 3 || events[1][0] != "worker" {
		t.Errorf("events %v, want the second worker before the end of the first", events)
	}
	r.WaitLine(`worker exited.*reason=dying`)
	r.stop(t)
}

// TestLastWordsAreHeard: what a worker says in the moment of its end counts. Who announced its death has not failed, time and again.
func TestLastWordsAreHeard(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "quitter", "-i", "1", "--handoff", "none", "--ready", "notify")
	r.WaitLines(0, 30, `worker exited`)
	for line := range strings.SplitSeq(r.Output(), "\n") {
		if strings.Contains(line, "worker exited") && !strings.Contains(line, "reason=dying") {
			t.Errorf("an announced death was not known as one: %s", line)
		}
	}
	r.Signal(syscall.SIGTERM)
	r.requireExit(t, 0)
	r.requireNothingLeft(t, true)
}

// TestMoreTimeForWhoAsks: EXTEND_TIMEOUT_USEC counts at the start and at the end.
func TestMoreTimeForWhoAsks(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "slow", "-i", "1", "--handoff", "none", "--ready", "notify", "--start-timeout", "3s", "--stop-timeout", "3s")
	r.WaitLine("worker ready")
	r.stop(t)
	if len(r.all("^finished")) != 1 || len(r.all("^worker")) != 1 {
		t.Error("the worker was not given its time")
	}
}

func TestABarrierIsAnswered(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "barrier", "-i", "1", "--handoff", "none", "--ready", "notify")
	r.wait(1, "^barrier EOF")
	r.WaitLine("worker ready")
	r.stop(t)
}

// TestNoWatchdogUnlessAsked: without a hang timeout nobody is ended for silence.
func TestNoWatchdogUnlessAsked(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "beating", "-i", "1", "--handoff", "none", "--ready", "notify")
	r.wait(1, "^still here")
	r.stop(t)
	if n := strings.Count(r.Output(), "worker started"); n != 1 {
		t.Errorf("%d workers were started, want 1", n)
	}
}

// TestAWorkerThatCallsItselfBroken is ended and replaced, also where nobody asked for a watchdog (sd_notify(3), WATCHDOG=trigger).
func TestAWorkerThatCallsItselfBroken(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "broken", "-i", "1", "--handoff", "none", "--ready", "notify")
	first := pidIn(t, r.wait(1, "^worker (.*)")[0])
	r.WaitLine("serving")
	if err := syscall.Kill(first, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.wait(2, "^worker ")
	r.WaitLine("worker exited.*reason=hung")
	r.stop(t)
}

// TestOutputThatIsNoText passes through in pieces, and the lines behind it are whole.
func TestOutputThatIsNoText(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "binary", "-i", "1", "--handoff", "none")
	r.WaitLine(`\| the end$`)
	r.stop(t)
}

// TestAWorkerWithoutStreamsServes: closing them is no end.
func TestAWorkerWithoutStreamsServes(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "muted", "-i", "1", "-l", "127.0.0.1:0", "--handoff", "inherit")
	r.wait(1, "^worker ")
	seen, err := load.Run(t.Context(), load.Options{Addr: r.address(), Count: 10, NewConnPerRequest: true})
	if err != nil || seen.OK != 10 {
		t.Errorf("%v: %v", err, seen)
	}
	r.WaitLine("worker ready")
	r.stop(t)
	if n := strings.Count(r.Output(), "worker started"); n != 1 {
		t.Errorf("%d workers were started, want 1", n)
	}
}

// TestACoreDumpIsTold where the kernel made one.
func TestACoreDumpIsTold(t *testing.T) {
	t.Parallel()
	dir := testutil.TempDir(t)
	r := startRobust(t, "shell", "-i", "1", "--handoff", "none", "--max-restarts", "0", "--cwd", dir,
		"--env", "E2E_SCRIPT=ulimit -c unlimited && kill -QUIT $$")
	r.requireExit(t, 128+int(syscall.SIGQUIT))
	cores, err := filepath.Glob(filepath.Join(dir, "*core*"))
	if err != nil {
		t.Fatal(err)
	}
	r.WaitLine("worker exited.*killed by SIGQUIT")
	if told := strings.Contains(r.Output(), "core dumped"); len(cores) > 0 && !told {
		t.Errorf("there is %v, and nothing was told", cores)
	}
	r.requireNothingLeft(t, true)
}

// TestGivingUp: after that many failures in a row the app ends with its program's exit code.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "shell", "-i", "1", "--handoff", "none", "--max-restarts", "2", "--env", "E2E_SCRIPT=exit 9")
	r.requireExit(t, 9)
	if n := len(r.all("^worker ")); n != 3 {
		t.Errorf("%d starts, want 3", n)
	}
	r.WaitLine("gave up")
	r.requireNothingLeft(t, true)
}

// TestOutOfMemoryIsTold needs a control group of its own.
func TestOutOfMemoryIsTold(t *testing.T) {
	t.Parallel()
	needRoot(t)
	group := memoryGroup(t, 96<<20)
	th := newTether(t)
	c := robustCommand(t, th, "eater", "-i", "1", "--handoff", "none")
	c.Args = append([]string{"-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, group, testutil.Muster(t)}, c.Args...)
	c.Path = "/bin/sh"
	r := startCommand(t, th, c)
	r.WaitLine(`worker exited.*killed by SIGKILL \(out of memory\)`)
	r.stop(t)
}

// memoryGroup makes a control group below the test's own whose processes may use so many bytes; it is removed with the test.
func memoryGroup(t testing.TB, limit int) string {
	t.Helper()
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || !strings.Contains(parts[1], "memory") {
			continue
		}
		dir, err := os.MkdirTemp(filepath.Join("/sys/fs/cgroup/memory", parts[2]), "e2e")
		if err == nil {
			t.Cleanup(func() { _ = os.Remove(dir) })
			err = os.WriteFile(filepath.Join(dir, "memory.limit_in_bytes"), []byte(strconv.Itoa(limit)), 0)
		}
		if err != nil {
			t.Skipf("no control group for memory: %v", err)
		}
		return dir
	}
	t.Skip("no memory controller of cgroup v1")
	return ""
}

// TestAProgramThatCannotBeExecuted is found out at the execve alone; it is a failed start as others are.
func TestAProgramThatCannotBeExecuted(t *testing.T) {
	t.Parallel()
	program := filepath.Join(testutil.TempDir(t), "program")
	writeProgram(t, program, "\x00\x01\x02")
	r := startProgram(t, program, "--max-restarts", "1")
	r.requireExit(t, 127)
	r.WaitLines(0, 2, "worker not started.*"+program+".*exec format error")
	r.WaitLine("gave up")
	r.requireNothingLeft(t, true)
}

// startProgram runs muster with a program that is not this binary.
func startProgram(t testing.TB, program string, args ...string) *robustRun {
	t.Helper()
	th := newTether(t)
	c := robustCommand(t, th, "", append([]string{"-i", "1", "--handoff", "none"}, args...)...)
	c.Args[len(c.Args)-1] = program
	return startCommand(t, th, c)
}

// writeProgram puts a file in place in one step, as a deployment does. Another process writes it: what this one has open for writing, a
// process that a parallel test starts may hold for a moment, and then it cannot be executed (ETXTBSY).
func writeProgram(t testing.TB, path, text string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `cat >"$0.new" && chmod 755 "$0.new" && mv "$0.new" "$0"`, path)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("write %s: %v\n%s", path, err, out)
	}
}

// copyProgram copies an executable file, in the same way.
func copyProgram(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v\n%s", from, err, out)
	}
}

// TestAProgramThatGoesBadAndComesBack: while the file is missing, or no program, the slot is empty and the log says why; then it serves again.
func TestAProgramThatGoesBadAndComesBack(t *testing.T) {
	t.Parallel()
	const good = "#!/bin/sh\nexec 9>\"$E2E_TETHER\"\necho worker $$ >&9\nexec sleep 1000\n"
	tests := []struct {
		name, told string
		spoil      func(t testing.TB, program string) error
	}{
		{"removed", "/program: no such file", func(_ testing.TB, program string) error { return os.Remove(program) }},
		{"not executable", "/program: permission denied", func(_ testing.TB, program string) error { return os.Chmod(program, 0o644) }},
		{"without its interpreter", "/nonexistent/interpreter: no such file.*/program", func(t testing.TB, program string) error {
			writeProgram(t, program, "#!/nonexistent/interpreter\n")
			return nil
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(testutil.TempDir(t), "program")
			writeProgram(t, program, good)
			r := startProgram(t, program, "--min-uptime", "1ms")
			first := pidIn(t, r.wait(1, "^worker (.*)")[0])
			r.WaitLine("worker ready")
			if err := tt.spoil(t, program); err != nil {
				t.Fatal(err)
			}
			mark := r.Mark()
			if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			r.WaitLines(mark, 2, "worker not started.*"+tt.told+".*")
			writeProgram(t, program, good)
			r.wait(2, "^worker ")
			r.WaitLines(mark, 1, "worker ready")
			r.stop(t)
		})
	}
}
