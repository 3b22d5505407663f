package e2e

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestOldGenerationsDoNotPileUp: of two that have connections to finish, the older one is cut short.
func TestOldGenerationsDoNotPileUp(t *testing.T) {
	t.Parallel()
	s := startHogs(t, 1, "--max-old-generations", "1", "--stop-timeout", "60s", "--reload-settle", "50ms")
	for range 2 {
		release := s.hold("") // whoever accepts is the newest
		defer release()
		s.require(0, "reloaded site", "reload")
	}
	s.run.WaitLine(`worker exited slot=0 worker=1 exit="killed by SIGKILL".*reason=superseded`)
	if strings.Contains(s.run.Output(), "worker exited slot=0 worker=2") {
		t.Error("the newest of the old generations was cut short as well")
	}
}

// TestBusiestWorkerRetiresFirst: a reload that takes its time begins with who has the most connections, and waits no longer for these than the
// drain timeout.
func TestBusiestWorkerRetiresFirst(t *testing.T) {
	t.Parallel()
	s := startHogs(t, 3, "--retire-over", "12s", "--surge", "3", "--drain-timeout", "1s", "--reload-settle", "50ms")
	pid := pidIn(t, s.run.WaitLine(`worker started.*worker=3 pid=([0-9]+)`))
	for range 20 {
		release := s.hold(strconv.Itoa(pid))
		defer release()
	}
	s.require(0, "reloaded site", "reload")
	s.run.WaitLines(0, 3, `worker exited.*reason=superseded`)
	var order []string
	for _, m := range regexp.MustCompile(`worker exited slot=\d worker=(\d).*reason=superseded`).FindAllStringSubmatch(s.run.Output(), -1) {
		order = append(order, m[1])
	}
	if order[0] != "3" || slices.Contains(order[1:], "3") {
		t.Errorf("they retired in the order %v", order)
	}
	s.run.WaitLine(`worker exited slot=\d worker=3 exit="killed by SIGKILL".*reason=superseded`)
}
