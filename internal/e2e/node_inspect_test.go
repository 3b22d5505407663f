package e2e

import (
	"slices"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// TestNodeInspectorsHavePortsOfTheirOwn: Node exits with code 12 where the port of its inspector is taken; in a reload even the
// two workers of one slot live side by side.
func TestNodeInspectorsHavePortsOfTheirOwn(t *testing.T) {
	t.Parallel()
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		t.Parallel()
		port := testutil.Ports(t, 10)
		r := runNode(t, major, "-i", "2", "--env", "NODE_OPTIONS=--inspect="+hostPort(port), fixture("listen.js"), "0")
		r.listens(0, 2)
		mark := r.Mark()
		r.Signal(syscall.SIGHUP)
		r.WaitLine("reloaded")
		ports := map[string]bool{}
		for _, m := range slices.Concat(r.WaitLines(0, 2, `Debugger listening on ws://127.0.0.1:(\d+)`), r.WaitLines(mark, 2, `Debugger listening on ws://127.0.0.1:(\d+)`)) {
			ports[m[1]] = true
		}
		if len(ports) < 3 {
			t.Errorf("the inspectors listen on %v", ports)
		}
		r.stopClean()
	})
}
