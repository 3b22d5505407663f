package e2e

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// end is a way in which a master ends.
type end struct {
	name    string
	signals []syscall.Signal
	code    int  // exit code; -1: killed
	clean   bool // the master does it by itself
}

var ends = []end{
	{"TERM", []syscall.Signal{syscall.SIGTERM}, 0, true},
	{"INT", []syscall.Signal{syscall.SIGINT}, 0, true},
	{"QUIT", []syscall.Signal{syscall.SIGQUIT}, 0, true},
	{"INT twice", []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, 0, true},
	{"crash", []syscall.Signal{syscall.SIGABRT}, 2, false},
	{"KILL", []syscall.Signal{syscall.SIGKILL}, -1, false},
}

// TestEveryEndTakesTheWholeTree: however the master ends, and whatever its workers are, no process and no file of the run is left.
func TestEveryEndTakesTheWholeTree(t *testing.T) {
	t.Parallel()
	for _, e := range ends {
		roles := []string{"plain", "deaf", "family", "stray"}
		if len(e.signals) > 1 { // the others would be gone before the second
			roles = []string{"deaf", "deaf family", "deaf stray"}
		}
		for _, role := range roles {
			t.Run(e.name+"/"+role, func(t *testing.T) {
				t.Parallel()
				e.try(t, role)
			})
		}
	}
}

func (e end) try(t *testing.T, role string) {
	patience := "1h"
	if e.clean && len(e.signals) == 1 {
		patience = "300ms"
	}
	r := startRobust(t, role, "-i", "2", "--handoff", "none", "--stop-timeout", patience)
	r.wait(2, "^worker ")
	if strings.HasSuffix(role, "family") || strings.HasSuffix(role, "stray") {
		r.wait(2, "^limb ")
	}
	r.WaitLine("serving")
	r.Signal(e.signals[0])
	if len(e.signals) > 1 {
		insist(t, r, e.signals[1])
	}
	r.requireExit(t, e.code)
	r.requireNothingLeft(t, e.clean)
	if e.name == "crash" && !strings.Contains(r.Output(), "goroutine ") {
		t.Error("a crash left no stacks")
	}
}

// insist sends a stop signal when it cannot be taken for an echo of the first any more, whose effect the log tells.
func insist(t *testing.T, r *robustRun, sig syscall.Signal) {
	t.Helper()
	r.WaitLine("stopping")
	heard := time.Now()
	poll(t, "end of the echo", func() bool { return time.Since(heard) > 300*time.Millisecond })
	r.Signal(sig)
	r.WaitLine("stopping at once")
}

// TestAnEchoIsNoSecondSignal: what comes in the same moment, as from timeout(1) or npm, lets workers finish.
func TestAnEchoIsNoSecondSignal(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "slow", "-i", "1", "--handoff", "none", "--ready", "start")
	r.wait(1, "^worker ")
	r.WaitLine("serving")
	r.Signal(syscall.SIGINT)
	r.Signal(syscall.SIGINT)
	r.Signal(syscall.SIGTERM)
	r.requireExit(t, 0)
	r.requireNothingLeft(t, true)
	if len(r.all("^finished")) != 1 {
		t.Error("the worker could not finish")
	}
}

// TestAKillAtAnyMoment: also while workers are being started, and die, all over the place.
func TestAKillAtAnyMoment(t *testing.T) {
	t.Parallel()
	for starts := range 8 {
		t.Run(strconv.Itoa(starts), func(t *testing.T) {
			t.Parallel()
			r := startRobust(t, "stray shell", "-i", "4", "--max-starting", "4", "--handoff", "none", "--env", "E2E_SCRIPT=exit 1")
			r.WaitLine("master started")
			r.WaitLines(0, starts, "worker started")
			r.Signal(syscall.SIGKILL)
			r.requireExit(t, -1)
			r.requireNothingLeft(t, false)
		})
	}
}
