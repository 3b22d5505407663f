package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/testutil"
)

// install puts the muster under test in the place of path, as an installer does.
func install(t *testing.T, path string) {
	t.Helper()
	copyProgram(t, testutil.Muster(t), path+".new")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// startUpgradable is startFickle with a binary of its own.
func startUpgradable(t *testing.T, workers int, flags ...string) (s *site, binary string) {
	t.Helper()
	s = &site{t: t, home: testutil.TempDir(t), dir: testutil.TempDir(t)}
	s.release("one")
	c := s.fickle(workers, append([]string{"--min-uptime", "1ms"}, flags...)...)
	c.Path = filepath.Join(s.dir, "muster")
	install(t, c.Path)
	s.run = testutil.Start(t, c)
	s.addr = s.run.WaitLine(`master started.*\b(127\.0\.0\.1:\d+)`)[1]
	s.run.WaitLine(fmt.Sprintf(`serving workers=%d$`, workers))
	return s, c.Path
}

// TestFiftyUpgradesLoseNothing: at a random moment around each, a worker is killed. What was in flight inside that worker is lost, and nothing
// else; the master is the same process; the exit of each worker is told once.
func TestFiftyUpgradesLoseNothing(t *testing.T) {
	for _, handoff := range []string{"node", "inherit"} {
		t.Run(handoff, func(t *testing.T) {
			const upgrades = 50
			s, _ := startUpgradable(t, 3, "--handoff", handoff)
			events := s.follow()
			seen := s.crowd()
			rng := testutil.Rand(t)
			var killed []int
			for range upgrades {
				victim, _ := testutil.Pick(rng, s.run.Workers())
				moment := time.NewTimer(time.Duration(rng.Int64N(int64(100 * time.Millisecond))))
				var upgraded sync.WaitGroup
				upgraded.Go(func() { s.require(0, "upgraded the master of site", "upgrade") })
				<-moment.C
				if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				killed = append(killed, victim)
				upgraded.Wait()
				events.WaitLine(fmt.Sprintf(`"kind":"failed".*"pid":%d,`, victim))
				poll(t, "third worker", func() bool { return s.state().Serving == 3 })
			}
			s.requireOnlyLostIn(killed, seen()...)
			if pid := s.state().PID; pid != s.run.Pid() {
				t.Errorf("the master was process %d and is %d", s.run.Pid(), pid)
			}
			s.require(0, "stopped site", "stop")
			if code := s.run.WaitExit().ExitCode(); code != 0 {
				t.Errorf("muster ended with %d", code)
			}
			events.WaitExit()
			requireEachExitOnce(t, events.Output(), killed)
		})
	}
}

// requireEachExitOnce fails the test if a worker that started has not ended once, by the events, or ended as it did not.
func requireEachExitOnce(t *testing.T, lines string, killed []int) {
	t.Helper()
	started, ended := map[uint64]int{}, map[uint64]int{}
	failed := map[int]int{}
	for line := range strings.Lines(lines) {
		var e api.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		switch e.Kind {
		case api.EventStarted:
			started[e.Worker]++
		case api.EventFailed:
			failed[e.PID]++
			ended[e.Worker]++
		case api.EventLeft:
			ended[e.Worker]++
		default:
		}
	}
	for worker, n := range started {
		if n != 1 || ended[worker] != 1 {
			t.Errorf("worker %d: its start was told %d times, its end %d times", worker, n, ended[worker])
		}
	}
	for _, pid := range killed {
		if failed[pid] != 1 {
			t.Errorf("the end of %d was told %d times", pid, failed[pid])
		}
	}
	if len(failed) != len(killed) || len(started) != len(ended) {
		t.Errorf("%d were killed, %d failed; %d started, %d ended", len(killed), len(failed), len(started), len(ended))
	}
}

// TestBadBinaryLeavesTheOldMaster: whatever is wrong with what has taken the place of the binary, the master that runs goes on, and becomes the
// next good one.
func TestBadBinaryLeavesTheOldMaster(t *testing.T) {
	t.Parallel()
	s, binary := startUpgradable(t, 2, "--handoff", "node")
	before := s.pids()
	seen := s.crowd()
	answer := "muster-snapshot 999"
	for _, bad := range []struct{ name, text, reason string }{
		{"not executable", "", "permission denied"},
		{"of another machine", "\x7fELF nonsense", "exec format error"},
		{"fails when tried", "#!/bin/sh\nexit 3\n", "exit status 3"},
		{"is another program", "#!/bin/sh\necho hello\n", "does not know how to go on"},
		{"is older", "#!/bin/sh\necho muster-snapshot 0\n", "does not know how to go on"},
		{"hides after it was tried", "#!/bin/sh\necho " + answer + "\nchmod -x \"$0\"\n", "permission denied"},
		{"breaks after it was tried", "#!/bin/sh\necho " + answer + "\nprintf nonsense >\"$0.new\"; chmod +x \"$0.new\"; mv \"$0.new\" \"$0\"\n", "exec format error"},
	} {
		t.Log(bad.name)
		writeProgram(t, binary, bad.text)
		if bad.text == "" {
			if err := os.Chmod(binary, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r := s.require(1, bad.reason, "upgrade")
		if !strings.Contains(r.stderr, "hint: the old binary goes on") {
			t.Errorf("%s: stderr: %s", bad.name, r.stderr)
		}
		if after := s.pids(); after != before {
			t.Errorf("%s: workers were %q and are %q", bad.name, before, after)
		}
	}
	if err := os.Remove(binary); err != nil {
		t.Fatal(err)
	}
	s.require(1, "no such file", "upgrade")

	victim, err := strconv.Atoi(strings.Fields(before)[0])
	if err != nil {
		t.Fatal(err)
	}
	mark := s.run.Mark()
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil { // it still replaces workers
		t.Fatal(err)
	}
	s.run.WaitLines(mark, 1, "worker ready")
	install(t, binary)
	s.require(0, "upgraded the master of site", "upgrade")
	s.requireOnlyLostIn([]int{victim}, seen()...)
	s.require(0, "stopped site", "stop")
	if code := s.run.WaitExit().ExitCode(); code != 0 {
		t.Errorf("muster ended with %d", code)
	}
}
