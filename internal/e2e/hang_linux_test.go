package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// hangsAt has a Node program hang by a request, and returns the pid of the worker.
func (r *nodeRun) hangsAt(path string) string {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	var wg sync.WaitGroup
	r.t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	wg.Go(func() { // its answer never comes
		_, _ = load.Run(ctx, load.Options{Addr: r.addr, Path: path, Count: 1, NoRetry: true, NewConnPerRequest: true, Timeout: time.Minute})
	})
	return r.WaitLine(`hangs (\d+)$`)[1]
}

// says runs a command of muster beside the run, and returns what it prints.
func (r *nodeRun) says(args ...string) string {
	r.t.Helper()
	home, _ := r.Env("MUSTER_HOME")
	cmd := exec.CommandContext(r.t.Context(), testutil.Muster(r.t), args...)
	cmd.Env = append(os.Environ(), "MUSTER_HOME="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Errorf("muster %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func requireText(t *testing.T, text string, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		if !regexp.MustCompile(pattern).MatchString(text) {
			t.Errorf("%q is not in\n%s", pattern, text)
		}
	}
}

// TestNodeHangs: a worker whose loop does not turn is noticed although nobody connects to it, replaced, and killed. The report of its exit
// says how it was noticed.
func TestNodeHangs(t *testing.T) {
	t.Parallel()
	tests := []struct{ path, what, stands string }{
		{"/loop", `it [^"]*does not answer on its channel, and (burns|uses).* CPU`, "spinForEver"},
		{"/sleep", `it [^"]*does not answer on its channel, and sleeps`, "sleepForEver"},
	}
	for _, tt := range tests {
		t.Run(tt.path[1:], func(t *testing.T) {
			t.Parallel()
			onNode(t, corners, func(t *testing.T, major int) {
				r := runNode(t, major, "-i", "2", "--hang-timeout", "2s", fixture("hang.js"))
				r.serving(2)
				victim := r.hangsAt(tt.path)
				r.WaitLine(`worker does not answer .*for=`)
				r.WaitLine(`worker hung.*reason="` + tt.what)
				r.WaitLine(`hung worker stands here.*stack="at ` + tt.stands + ` \(/.*/hang.js:\d+:\d+\)`)
				r.WaitLine(`worker exited.*pid=` + victim + ` .*reason=hung.*hang="` + tt.what + `.*stderr=.*` + tt.stands)
				r.WaitLines(0, 2, `serving workers=2`)
				r.allAnswer()
				requireText(t, r.says("show", "x"), `hangs +1 so far; a worker is hung after 2s`)
				requireText(t, r.says("explain", "x"), `That happened once so far`, `watched by ping \(answered .* ago\), queue \(.*\); its process: (asleep|computes), `)
				r.stopClean()
			})
		})
	}
}

// TestNodeHangsInASystemCall: there is nothing that could say where it stands, which the log tells. It is killed with what it waits for.
func TestNodeHangsInASystemCall(t *testing.T) {
	t.Parallel()
	r := runNode(t, 22, "-i", "2", "--hang-timeout", "1s", fixture("hang.js"))
	r.serving(2)
	victim := r.hangsAt("/native")
	r.WaitLine(`hung worker does not say where it stands.*it does not open its inspector`)
	r.WaitLine(`worker exited.*killed by SIGKILL.*pid=` + victim + ` .*reason=hung`)
	r.answers(20)
	r.stopClean()
}

// TestNodeHangsThatTookItsServerByMessage: it knows nothing of a cluster, and answers pings all the same.
func TestNodeHangsThatTookItsServerByMessage(t *testing.T) {
	t.Parallel()
	onNode(t, []int{18, 20, 22, 24, 26}, func(t *testing.T, major int) {
		port := testutil.Port(t)
		r := runNodeOn(t, major, 0, []string{"BY_MESSAGE=1"},
			"-i", "2", "-l", hostPort(port), "--handoff", "message", "--hang-timeout", "2s", "--", "node", fixture("hang.js"))
		r.addr = hostPort(port)
		r.serving(2)
		victim := r.hangsAt("/loop")
		r.WaitLine(`worker hung.*reason="it does not answer on its channel, and (burns|uses)`)
		r.WaitLine(`worker exited.*pid=` + victim + ` .*reason=hung`)
		r.answers(20)
		r.stopClean()
	})
}

// TestNodeHangsAlone: the only worker of an app is replaced, and the connections that waited for it are served by its successor.
func TestNodeHangsAlone(t *testing.T) {
	t.Parallel()
	r := runNode(t, 22, "-i", "1", "--hang-timeout", "2s", fixture("hang.js"))
	r.serving(1)
	victim := r.hangsAt("/loop")
	got := r.load(load.Options{Clients: 4, Count: 4, NewConnPerRequest: true, NoRetry: true, Timeout: time.Minute})
	if got.OK != 4 {
		t.Error(got)
	}
	if pids := got.PIDs(); len(pids) != 1 || strconv.Itoa(pids[0]) == victim {
		t.Errorf("%v answered, the victim is %s", pids, victim)
	}
	r.WaitLine(`worker exited.*reason=hung`)
	r.stopClean()
}

// TestSlowIsNotHung: who answers late, or is never asked, is let be.
func TestSlowIsNotHung(t *testing.T) {
	t.Parallel()
	r := runNode(t, 22, "-i", "2", "--hang-timeout", "1s", fixture("hang.js"))
	r.serving(2)
	got := r.load(load.Options{Path: "/slow", Clients: 1, Count: 1, NewConnPerRequest: true, NoRetry: true, Timeout: time.Minute})
	if got.OK != 1 {
		t.Error(got)
	}
	r.stopClean()
	requireNoHang(t, r.Output(), 2)
}

// requireNoHang wants no worker of n that were started to have been called hung.
func requireNoHang(t *testing.T, output string, n int) {
	t.Helper()
	if strings.Contains(output, "hung") || strings.Count(output, "worker started") != n {
		t.Errorf("somebody was ended:\n%s", output)
	}
}

// TestNodeHangsInAReload: an old worker that hangs while the new generation proves itself is replaced; the reload goes on.
func TestNodeHangsInAReload(t *testing.T) {
	t.Parallel()
	r := runNode(t, 22, "-i", "2", "--hang-timeout", "2s", "--reload-settle", "6s", fixture("hang.js"))
	r.serving(2)
	old := r.Workers()
	mark := r.Mark()
	r.Signal(syscall.SIGHUP)
	r.WaitLines(mark, 1, `worker ready`)
	r.hangsAt("/loop")
	r.WaitLine(`worker exited.*hang=`)
	r.WaitLine(`(reloaded|reload failed)`)
	for _, pid := range r.Workers() {
		if slices.Contains(old, pid) && !strings.Contains(r.Output(), "reload failed") {
			r.WaitLines(mark, 1, fmt.Sprintf(`worker exited.*pid=%d .*reason=superseded`, pid))
		}
	}
	r.answers(20)
	r.stopClean()
}

// TestNodeHangsWhileItDrains: it finishes nothing, so it does not get the time that it would have had for that.
func TestNodeHangsWhileItDrains(t *testing.T) {
	t.Parallel()
	r := runNode(t, 22, "-i", "1", "--hang-timeout", "2s", "--drain-timeout", "10m", fixture("hang.js"))
	r.serving(1)
	victim := r.hangsAt("/loop")
	mark := r.Mark()
	r.Signal(syscall.SIGHUP)
	r.WaitLines(mark, 1, `reloaded`)
	r.WaitLine(`worker hung`)
	r.WaitLine(`worker exited.*killed by SIGKILL.*pid=` + victim + ` .*reason=superseded.*hang=`)
	r.allAnswer()
	r.stopClean()
}

// runPython starts a program of testdata/python that inherits its socket.
func runPython(t *testing.T, env []string, args ...string) *nodeRun {
	t.Helper()
	python, port := testutil.Need(t, "python3"), testutil.Port(t)
	command := append([]string{"run", "--name", "x", "-l", hostPort(port), "--handoff", "inherit"}, args...)
	command = append(command, "--", python, filepath.Join(testutil.Root(), "testdata", "python", "beats.py"))
	return &nodeRun{Running: testutil.Start(t, testutil.Command{Args: command, Env: env}), t: t, port: port, addr: hostPort(port)}
}

// TestAStoppedWorkerIsHung: it gives no sign of life any more. It goes on only to say where it stands.
func TestAStoppedWorkerIsHung(t *testing.T) {
	t.Parallel()
	r := runPython(t, nil, "-i", "2", "--hang-timeout", "2s")
	r.serving(2)
	victim := r.answers(10)[0] // it has given a sign of life before it took its first connection
	if err := syscall.Kill(victim, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const what = `it gives no sign of life any more \(WATCHDOG=1\), and is stopped \(SIGSTOP\)`
	r.WaitLine(`worker hung.*reason="` + what)
	r.WaitLine(`File ".*beats.py", line \d+ in <module>`)
	r.WaitLine(`worker exited.*killed by SIGABRT.*reason=hung hang="` + what)
	r.serving(2)
	r.answers(20)
	requireText(t, r.says("explain", "x"), `it was hung: `+what, `That happened once so far`)
	r.stopClean()
}

// TestWhoIsSilentFromTheStartIsNotHung: there is nothing by which it could be told that it hangs.
func TestWhoIsSilentFromTheStartIsNotHung(t *testing.T) {
	t.Parallel()
	r := runPython(t, []string{"MUTE=1"}, "-i", "1", "--hang-timeout", "500ms")
	r.serving(1)
	if err := syscall.Kill(r.Workers()[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	passed(t, 3*time.Second)
	if err := syscall.Kill(r.Workers()[0], syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.answers(3)
	requireText(t, r.says("explain", "x"), `the hang watchdog is off for it: it gives no sign`)
	r.stopClean()
	requireNoHang(t, r.Output(), 1)
}

// TestASlowThreadIsNotHung: its process gives signs of life.
func TestASlowThreadIsNotHung(t *testing.T) {
	t.Parallel()
	r := runPython(t, nil, "-i", "1", "--hang-timeout", "2s")
	r.serving(1)
	requireText(t, r.says("explain", "x"), `watched by heartbeat \(last sign .* ago\); its process: asleep`)
	if got := r.load(load.Options{Path: "/slow", Count: 1, NoRetry: true, Timeout: time.Minute}); got.OK != 1 {
		t.Error(got)
	}
	r.stopClean()
	requireNoHang(t, r.Output(), 1)
}

// TestAMasterThatWasStoppedCallsNobodyHung: all deadlines have passed when it goes on, and the signs of life wait to be heard.
func TestAMasterThatWasStoppedCallsNobodyHung(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) *nodeRun{
		"heartbeat": func(t *testing.T) *nodeRun { return runPython(t, nil, "-i", "2", "--hang-timeout", "1s") },
		"ping": func(t *testing.T) *nodeRun {
			return runNode(t, 22, "-i", "2", "--hang-timeout", "1s", fixture("hang.js"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			r.serving(2)
			r.answers(10)
			for range 3 {
				r.Signal(syscall.SIGSTOP)
				passed(t, 2*time.Second)
				r.Signal(syscall.SIGCONT)
				passed(t, time.Second)
			}
			r.answers(10)
			r.stopClean()
			requireNoHang(t, r.Output(), 2)
		})
	}
}

// passed returns after that time, which is what the test is about.
func passed(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
