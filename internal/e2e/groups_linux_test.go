package e2e

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// needGroups skips a test where root may make no control groups that bound memory, CPU and tasks.
func needGroups(t testing.TB) {
	t.Helper()
	needRoot(t)
	for _, controller := range []string{"memory", "cpu", "pids"} {
		if ownGroup(t, controller) == "" && ownGroup(t, "") == "" {
			t.Skipf("no control group of the controller %s", controller)
		}
	}
}

// ownGroup is the folder of the test's group in the hierarchy of a controller, or in that of version 2.
func ownGroup(t testing.TB, controller string) string {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	mounted, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if fields[1] == controller {
			return groupFolder(string(mounted), fields[1], fields[2])
		}
	}
	return ""
}

// groupsOf are the folders of an app's control groups.
func groupsOf(t testing.TB, app string) []string {
	t.Helper()
	var all []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "muster-"+app+"-") {
			all = append(all, path)
			return fs.SkipDir
		}
		return nil // others come and go
	})
	return all
}

func requireNoGroups(t testing.TB, app string) {
	t.Helper()
	if left := groupsOf(t, app); len(left) > 0 {
		t.Errorf("control groups are left: %v", left)
	}
}

// appName is one that no other test has: control groups are named after it.
func appName() string { return "e2e" + strconv.FormatUint(rand.Uint64(), 36) }

// runGrouped runs a worker script of Python with limits for groups.
func runGrouped(t testing.TB, name string, flags []string, script string) *testutil.Running {
	t.Helper()
	args := append([]string{"run", "--name", name, "--handoff", "none"}, flags...)
	return testutil.StartMuster(t, append(args, "--", "/usr/bin/python3", "-u", "-c", script+"\nimport signal\nsignal.pause()")...)
}

// hogScript uses memory until it is stopped.
const hogScript = `
import time
hold = []
while True: hold.append(bytearray(1 << 20))
`

// TestAWorkerOutOfMemory is named as such, and whose limit it was; the others are not touched.
func TestAWorkerOutOfMemory(t *testing.T) {
	t.Parallel()
	needGroups(t)
	hogAtHome := "import os\nif os.environ['MUSTER_SLOT'] == '0':" + strings.ReplaceAll(hogScript, "\n", "\n  ")
	tests := []struct {
		name, told string
		flags      []string
		script     string
	}{
		{
			"its limit", `worker exited slot=0 .*exit="killed by SIGKILL \(out of memory: the limit of the worker is 64M\)"`,
			[]string{"-i", "2", "--worker-limits", "memory=64M"}, hogAtHome,
		},
		{
			"the limit of all", `worker exited slot=0 .*exit="killed by SIGKILL \(out of memory: the limit of all workers together is 96M\)"`,
			[]string{"-i", "2", "--app-limits", "memory=96M"}, hogAtHome,
		},
		{
			"a process of it", `worker exited slot=0 .*exit="exit status 3 \(the kernel had killed a process of it, out of memory: the limit of the worker is 64M\)"`,
			[]string{"-i", "1", "--worker-limits", "memory=64M"},
			"import subprocess, sys\nsubprocess.run([sys.executable, '-c', '''" + hogScript + "'''])\nsys.exit(3)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := appName()
			r := runGrouped(t, name, tt.flags, tt.script)
			r.WaitLine(tt.told)
			r.Stop()
			if strings.Contains(r.Output(), `slot=1 worker=2 exit="killed by SIGKILL`) {
				t.Errorf("the other worker was killed:\n%s", r.Output())
			}
			requireNoGroups(t, name)
		})
	}
}

// TestOthersKillsAreNotForMemory: a worker that somebody kills is not said to have been out of memory.
func TestOthersKillsAreNotForMemory(t *testing.T) {
	t.Parallel()
	needGroups(t)
	name := appName()
	r := runGrouped(t, name, []string{"-i", "1", "--worker-limits", "memory=200M"}, "import os\nprint('pid', os.getpid())")
	pid, _ := strconv.Atoi(r.WaitLine(`pid (\d+)`)[1])
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.WaitLine(`worker exited slot=0 .*exit="killed by SIGKILL"`)
	r.Stop()
}

// TestAWorkerIsBoundedWithAllThatItStarts in the number of its processes and in CPU time.
func TestAWorkerIsBoundedWithAllThatItStarts(t *testing.T) {
	t.Parallel()
	needGroups(t)
	tests := []struct {
		name, told string
		flags      []string
		script     string
	}{
		{
			"tasks of a worker", "stopped by Resource temporarily unavailable at 20$", []string{"-i", "1", "--worker-limits", "tasks=20"},
			"import os, signal\nn = 1\ntry:\n  while n < 500:\n    if os.fork() == 0: signal.pause()\n    n += 1\nexcept OSError as e: print('stopped by', e.strerror, 'at', n)",
		},
		{
			"tasks of all", "stopped by Resource temporarily unavailable$", []string{"-i", "2", "--app-limits", "tasks=30"},
			"import os, signal\nn = 1\ntry:\n  while n < 500:\n    if os.fork() == 0: signal.pause()\n    n += 1\nexcept OSError as e: print('stopped by', e.strerror)",
		},
		{
			"cpu of a worker", `used 0\.[0-4]\d* of a CPU$`, []string{"-i", "1", "--worker-limits", "cpu=20%"},
			"import time\nt = time.monotonic()\nwhile time.monotonic() < t + 1: pass\nprint('used', time.process_time() / (time.monotonic() - t), 'of a CPU')",
		},
		{
			"cpu of all", `used 0\.[0-4]\d* of a CPU$`, []string{"-i", "2", "--app-limits", "cpu=0.3"},
			"import time\nt = time.monotonic()\nwhile time.monotonic() < t + 1: pass\nprint('used', time.process_time() / (time.monotonic() - t), 'of a CPU')",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := appName()
			r := runGrouped(t, name, tt.flags, tt.script)
			r.WaitLine(tt.told)
			r.Stop()
			requireNoGroups(t, name)
		})
	}
}

// TestNobodyLeavesTheGroupOfAWorker: what has left its session and its environment behind goes with it.
func TestNobodyLeavesTheGroupOfAWorker(t *testing.T) {
	t.Parallel()
	needGroups(t)
	const fugitive = `
import os
if os.fork() == 0:
  os.setsid()
  if os.fork() == 0: os.execve('/bin/sleep', ['sleep', '1000'], {'MUSTER_TEST_RUN': os.environ['MUSTER_TEST_RUN']})
  os._exit(0)
os.wait()
print('gone into hiding')
`
	const bomb = `
import os
print('gone into hiding')
while True:
  try:
    if os.fork() == 0: os.setsid()
  except OSError: pass
`
	for _, tt := range []struct {
		name, script string
		end          syscall.Signal
	}{
		{"a fugitive and a stop", fugitive, syscall.SIGTERM}, {"a fugitive and a crash", fugitive, syscall.SIGKILL},
		{"a fork bomb and a stop", bomb, syscall.SIGTERM}, {"a fork bomb and a crash", bomb, syscall.SIGKILL},
	} {
		end := tt.end
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := appName()
			r := runGrouped(t, name, []string{"-i", "1", "--worker-limits", "tasks=50", "--worker-limits", "cpu=0.3"}, tt.script)
			r.WaitLine("gone into hiding")
			if len(groupsOf(t, name)) == 0 {
				t.Fatal("the app has no control groups")
			}
			r.Signal(end)
			r.WaitExit() // and nothing survives it
			poll(t, "end of the control groups", func() bool { return len(groupsOf(t, name)) == 0 })
		})
	}
}

// TestGroupsLiveThroughEverything: reload, upgrade, the death of a master.
func TestGroupsLiveThroughEverything(t *testing.T) {
	t.Parallel()
	needGroups(t)
	s := kept(t)
	name := appName()
	script := filepath.Join(s.dir, "hog.py")
	writeFile(t, script, "import os, signal, socket\nsignal.signal(signal.SIGUSR1, lambda *a: [bytearray(1 << 20) for i in range(300)])\n"+
		"socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\nwhile True: signal.pause()\n")
	file := func(limit string) {
		s.write("muster.yaml", fmt.Sprintf("apps:\n  - name: %s\n    command: /usr/bin/python3 %s\n    handoff: none\n    ready: notify\n    reload_settle: 50ms\n    worker_limits: {memory: %s}\n", name, script, limit))
	}
	file("64M")
	s.require(0, "started", "start", "muster.yaml")
	hogs := func(limit string) {
		t.Helper()
		e := s.entry(name)
		w := e.App.Slots[0].Workers[0]
		if err := syscall.Kill(w.PID, syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		want := "out of memory: the limit of the worker is " + limit
		poll(t, want, func() bool {
			exits := s.entry(name).App.Slots[0].Exits
			return len(exits) > 0 && exits[len(exits)-1].Worker == w.ID && strings.Contains(exits[len(exits)-1].Why, want)
		})
		poll(t, "a successor", func() bool { return s.entry(name).App.Serving == 1 })
	}
	hogs("64M")
	file("80M")
	s.require(0, "reloaded", "start", "muster.yaml")
	hogs("80M")
	s.require(0, "memory 80M (control group, version ", "show", name)
	s.require(0, "Limit of each worker: memory 80M", "explain", name)
	s.require(0, "upgraded", "upgrade", name)
	hogs("80M")
	before := s.entry(name)
	killAndAwait(t, before.PID)
	poll(t, "another master", func() bool { e := s.entry(name); return e.App != nil && e.PID != before.PID })
	if after := s.entry(name); after.App.Slots[0].Workers[0].PID != before.App.Slots[0].Workers[0].PID {
		t.Errorf("the worker did not live on")
	}
	if len(groupsOf(t, name)) == 0 {
		t.Error("the control groups did not live on")
	}
	hogs("80M")
	s.require(0, "stopped", "stop", name)
	requireNoGroups(t, name)
}

// TestLimitsThatTheMachineDoesNotHave are told, or are errors where the app says so.
func TestLimitsThatTheMachineDoesNotHave(t *testing.T) {
	t.Parallel()
	limits := []string{"-i", "1", "--handoff", "none", "--worker-limits", "memory=64M", "--app-limits", "cpu=0.5"}
	places := []struct {
		name, why string
		run       func(t *testing.T, args ...string) *testutil.Running
	}{
		{"ordinary", "user 54321 may not make control groups in /.*", func(t *testing.T, args ...string) *testutil.Running {
			return asUser(t, 54321).run(args...)
		}},
		{"none", "no mounted control group has the controller memory", func(t *testing.T, args ...string) *testutil.Running {
			needRoot(t)
			return testutil.Start(t, testutil.Command{
				Path: testutil.Need(t, "unshare"), Args: append([]string{"--mount", "sh", "-c", `umount -R /sys/fs/cgroup && exec "$@"`, "sh", testutil.Muster(t), "run"}, args...),
			})
		}},
		{"read-only", "the control groups are mounted read-only: /.*", func(t *testing.T, args ...string) *testutil.Running {
			needRoot(t)
			const remount = `grep -o ' /sys/fs/cgroup/[^ ]*' /proc/self/mountinfo | while read d; do mount -o remount,bind,ro $d; done; exec "$@"`
			return testutil.Start(t, testutil.Command{
				Path: testutil.Need(t, "unshare"), Args: append([]string{"--mount", "sh", "-c", remount, "sh", testutil.Muster(t), "run"}, args...),
			})
		}},
	}
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			r := p.run(t, append(limits, "--", "sleep", "1000")...)
			r.WaitLine(`warning: limit is not in force limit="memory of each worker" reason="` + p.why + `" hint=`)
			r.WaitLine(`warning: limit is not in force limit="cpu of all workers together" reason=`)
			r.WaitLine("serving workers=1")
			r.Stop()
		})
		t.Run(p.name+", required", func(t *testing.T) {
			t.Parallel()
			r := p.run(t, append(limits, "--limits-required", "--", "sleep", "1000")...)
			r.WaitLine(`memory.*"64M": cannot be in force: ` + p.why)
			r.WaitLine("hint: ")
			if code := r.WaitExit().ExitCode(); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
		})
	}
}

// TestARefusedLimitThatIsRequired is told before any worker starts, and a reload that brings one changes nothing.
func TestARefusedLimitThatIsRequired(t *testing.T) {
	t.Parallel()
	r := asUser(t, 54321).run("-i", "1", "--handoff", "none", "--limits-required", "--nice", "-5", "--", "sleep", "1000")
	r.WaitLine("limits.required: a worker would not get all it is to have: set niceness -5: permission denied")
	r.WaitLine("hint: ask for less")
	if code := r.WaitExit().ExitCode(); code != 2 || strings.Contains(r.Output(), "worker started") {
		t.Errorf("exit code %d:\n%s", code, r.Output())
	}
	s := kept(t)
	args := []string{"start", "--name", "strict", "--handoff", "none", "--limits-required"}
	s.require(0, "started strict", append(args, "--limits", "nofile=100", "--", "sleep", "1000")...)
	before := workerPIDs(s.entry("strict").App)
	s.require(1, "set limit nofile to 9999999999: operation not permitted", append(args, "--limits", "nofile=9999999999", "--", "sleep", "1000")...)
	if after := workerPIDs(s.entry("strict").App); after != before {
		t.Errorf("workers %s, were %s", after, before)
	}
}

// TestTheSmallestLimits bind the program, and not what muster does in its process before.
func TestTheSmallestLimits(t *testing.T) {
	t.Parallel()
	needGroups(t)
	name := appName()
	r := testutil.StartMuster(t, "run", "--job", "--max-restarts", "0", "--name", name, "--worker-limits", "tasks=1", "--worker-limits", "memory=1M", "--", "sh", "-c", "echo one")
	r.WaitLine(`\| one$`)
	if code := r.WaitExit().ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	requireNoGroups(t, name)
}

// TestGroupsThatNobodyLooksAfter: daemon and master are killed at once; the next ones take the groups over, with the workers, or end what is in them.
func TestGroupsThatNobodyLooksAfter(t *testing.T) {
	t.Parallel()
	needGroups(t)
	s := kept(t)
	name := appName()
	s.require(0, "started", "start", "--name", name, "--handoff", "none", "--worker-limits", "tasks=50", "--", "sh", "-c", "setsid env -i MUSTER_TEST_RUN=$MUSTER_TEST_RUN sleep 1000 & sleep 1000")
	before := s.entry(name)
	worker := before.App.Slots[0].Workers[0].PID
	daemon, err := os.FindProcess(s.daemonPID())
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Signal(syscall.SIGSTOP); err != nil { // it does not start another master
		t.Fatal(err)
	}
	killAndAwait(t, before.PID)
	killAndAwait(t, daemon.Pid)
	groups := groupsOf(t, name)
	poll(t, "another master", func() bool {
		e := s.entry(name)
		return e.App != nil && e.PID != before.PID && e.App.Serving == 1
	})
	isTaken := s.entry(name).App.Slots[0].Workers[0].PID == worker // it held what its next master needed
	for _, dir := range groups {
		if isIn := slices.Contains(strings.Fields(readGroup(t, dir)), strconv.Itoa(worker)); isIn != isTaken {
			t.Errorf("worker %d of the lost master is in %s: %v; it serves the next one: %v", worker, dir, isIn, isTaken)
		}
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", worker)) // nobody may have reaped it
	if _, state, _ := strings.Cut(string(text), ") "); !isTaken && err == nil && !strings.HasPrefix(state, "Z") {
		t.Errorf("worker %d of the lost master lives on: %s", worker, text)
	}
	s.require(0, "stopped", "stop", name)
	requireNoGroups(t, name)
}

// readGroup lists the processes of an app's group.
func readGroup(t testing.TB, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*/cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, _ := os.ReadFile(file)
		all.Write(text)
	}
	return all.String()
}

// TestAGroupThatSomebodyRemoves is made again for the next worker.
func TestAGroupThatSomebodyRemoves(t *testing.T) {
	t.Parallel()
	needGroups(t)
	name := appName()
	r := runGrouped(t, name, []string{"-i", "1", "--worker-limits", "memory=64M"}, "import os\nprint('pid', os.getpid())")
	pid := r.WaitLine(`pid (\d+)`)[1]
	for _, dir := range groupsOf(t, name) { // the worker is moved out, and the groups removed
		outside := filepath.Join(filepath.Dir(dir), "cgroup.procs")
		if err := os.WriteFile(outside, []byte(pid), 0); err != nil {
			t.Fatal(err)
		}
		for _, group := range []string{filepath.Join(dir, "w1"), dir} {
			if err := syscall.Rmdir(group); err != nil {
				t.Fatal(err)
			}
		}
	}
	number, _ := strconv.Atoi(pid)
	mark := r.Mark()
	if err := syscall.Kill(number, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.WaitLines(mark, 1, `pid (\d+)`)
	if len(groupsOf(t, name)) == 0 {
		t.Error("the next worker has no group")
	}
	r.Stop()
	requireNoGroups(t, name)
}
