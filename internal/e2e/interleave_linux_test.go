package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// twist is a site in the middle of a reload: the new worker of slot 0 waits at its gate.
type twist struct {
	*site
	reload *testutil.Running
	seen   func() []*load.Result
	killed []int
}

// startTwist starts so many workers, and a reload to the release gated, under load.
func startTwist(t *testing.T, workers int) *twist {
	t.Helper()
	s := startFickle(t, workers, "--handoff", "node", "--min-uptime", "1ms", "--max-starting", "4")
	for slot := range workers + 1 {
		if err := unix.Mkfifo(gateOf(s.accepted(), strconv.Itoa(slot)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tw := &twist{site: s, seen: s.crowd()}
	s.release("gated")
	tw.reload = tw.beside("reload", "site")
	s.run.WaitLine(fmt.Sprintf(`worker started slot=0 worker=%d `, workers+1))
	return tw
}

// beside runs a command that is not waited for.
func (tw *twist) beside(args ...string) *testutil.Running {
	tw.t.Helper()
	return testutil.Start(tw.t, testutil.Command{Args: args, Dir: tw.dir, Env: []string{"MUSTER_HOME=" + tw.home}})
}

// ends requires the code with which a command ends, and what it prints.
func (tw *twist) ends(r *testutil.Running, code int, text string) {
	tw.t.Helper()
	if got := r.WaitExit().ExitCode(); got != code || !strings.Contains(r.Output(), text) {
		tw.t.Errorf("exit code %d, want %d and %q:\n%s", got, code, text, r.Output())
	}
}

// open lets the workers of these slots go on, now and later.
func (tw *twist) open(slots ...int) {
	tw.t.Helper()
	for _, slot := range slots {
		gate, err := os.OpenFile(gateOf(tw.accepted(), strconv.Itoa(slot)), os.O_RDWR, 0)
		if err != nil {
			tw.t.Fatal(err)
		}
		tw.t.Cleanup(func() { _ = gate.Close() })
	}
}

// kill kills a worker, and waits until the master knows.
func (tw *twist) kill(worker int) {
	tw.t.Helper()
	pid := pidIn(tw.t, tw.run.WaitLine(fmt.Sprintf(`worker started slot=\d+ worker=%d pid=(\d+)`, worker)))
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		tw.t.Fatal(err)
	}
	tw.killed = append(tw.killed, pid)
	tw.run.WaitLine(fmt.Sprintf(`worker exited slot=\d+ worker=%d .*SIGKILL`, worker))
}

// all requires, after all, that every worker is of that release, and of the load that nothing was lost but in those who were killed.
func (tw *twist) all(release string, workers int) {
	tw.t.Helper()
	tw.requireOnlyLostIn(tw.killed, tw.seen()...)
	poll(tw.t, "end of the old workers", func() bool { return len(strings.Fields(tw.pids())) == workers })
	got := mustLoad(tw.t, load.Options{Addr: tw.addr, Clients: 4, Count: 100 * workers, NewConnPerRequest: true})
	pids := strings.Fields(tw.pids())
	if len(pids) != workers || got.Failed() > 0 || len(got.ByPID) != workers {
		tw.t.Errorf("workers %v, %v", pids, got)
	}
	for range 8 * workers {
		tw.requireRelease(release)
	}
	tw.require(0, "stopped site", "stop")
	if code := tw.run.WaitExit().ExitCode(); code != 0 {
		tw.t.Errorf("muster ended with %d", code)
	}
}

// TestTwists: what happens in the middle of a reload.
func TestTwists(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		workers int
		play    func(tw *twist)
	}{
		{"another reload", 2, func(tw *twist) {
			tw.release("two")
			tw.require(0, "in generation 3", "reload")
			tw.ends(tw.reload, 1, "another reload took its place")
			tw.all("two", 2)
		}},
		{"another reload, late", 2, func(tw *twist) {
			tw.open(0)
			tw.run.WaitLine("worker started slot=1 worker=4 ")
			tw.release("two")
			tw.require(0, "in generation 3", "reload")
			tw.ends(tw.reload, 1, "another reload took its place")
			tw.all("two", 2)
		}},
		{"rollback", 2, func(tw *twist) {
			tw.open(0)
			tw.run.WaitLine("worker started slot=1 worker=4 ")
			tw.require(0, "rolled site back", "rollback")
			tw.ends(tw.reload, 1, "another reload took its place")
			tw.all("one", 2)
		}},
		{"end of an old worker elsewhere", 2, func(tw *twist) {
			tw.kill(2)
			tw.run.WaitLine("worker ready slot=1 worker=4 ") // of the old release: it did not wait at a gate
			tw.open(0, 1)
			tw.ends(tw.reload, 0, "reloaded site")
			tw.all("gated", 2)
		}},
		{"end of the only old worker", 1, func(tw *twist) {
			tw.kill(1)
			tw.run.WaitLine("worker ready slot=0 worker=3 ")
			tw.requireRelease("one")
			tw.open(0)
			tw.ends(tw.reload, 0, "reloaded site")
			tw.all("gated", 1)
		}},
		{"end of the only old worker, and no success", 1, func(tw *twist) {
			tw.kill(1)
			tw.run.WaitLine("worker ready slot=0 worker=3 ")
			tw.kill(2)
			tw.ends(tw.reload, 1, "reload of site failed: worker 2 of the new generation: killed by SIGKILL")
			tw.all("one", 1)
		}},
		{"end of the first new worker", 2, func(tw *twist) {
			tw.kill(3)
			before := tw.pids()
			tw.ends(tw.reload, 1, "reload of site failed: worker 3 of the new generation: killed by SIGKILL")
			for worker, pid := range map[int]string{1: strings.Fields(before)[0], 2: strings.Fields(before)[1]} {
				tw.run.WaitLine(fmt.Sprintf(`worker started .*worker=%d pid=%s$`, worker, pid)) // as ever
			}
			tw.all("one", 2)
		}},
		{"end of a new worker that serves", 2, func(tw *twist) {
			tw.open(0)
			tw.run.WaitLine("worker started slot=1 worker=4 ")
			tw.kill(3)
			tw.run.WaitLine("worker ready slot=0 worker=5 ")
			tw.open(1)
			tw.ends(tw.reload, 0, "reloaded site")
			tw.all("gated", 2)
		}},
		{"scale up", 2, func(tw *twist) {
			tw.require(0, "scaled site to 3 workers", "scale", "+1")
			tw.run.WaitLine("worker ready slot=2 worker=4 ") // of the old release
			tw.open(0, 1, 2)
			tw.ends(tw.reload, 0, "reloaded site")
			tw.all("gated", 3)
		}},
		{"scale down", 3, func(tw *twist) {
			tw.require(0, "scaled site to 1 worker", "scale", "1")
			tw.open(0)
			tw.ends(tw.reload, 0, "reloaded site")
			tw.all("gated", 1)
		}},
		{"upgrade", 2, func(tw *twist) {
			tw.require(0, "upgraded the master of site", "upgrade")
			tw.kill(2)
			tw.run.WaitLine("worker ready slot=1 worker=4 ")
			tw.open(0, 1)
			tw.ends(tw.reload, 0, "reloaded site")
			tw.all("gated", 2)
		}},
		{"stop", 2, func(tw *twist) {
			seen := tw.seen() // nobody is served any more
			tw.require(0, "stopped site", "stop")
			tw.ends(tw.reload, 1, "the app is being stopped")
			if code := tw.run.WaitExit().ExitCode(); code != 0 {
				tw.t.Errorf("muster ended with %d", code)
			}
			tw.requireOnlyLostIn(nil, seen...)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.play(startTwist(t, tt.workers))
		})
	}
}
