package e2e

import (
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// runThrower runs testdata/node/worker.js, which says that it is dying after each answer: every request costs a worker.
func runThrower(t *testing.T, major int) *nodeRun {
	port := testutil.Port(t)
	r := runNodeOn(t, major, port, nil, "--handoff", "message", "-i", "2", "--listen", hostPort(port), fixture("worker.js"))
	r.serving(2)
	return r
}

func TestNodeMessageSequence(t *testing.T) {
	t.Parallel()
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		t.Parallel()
		r := runThrower(t, major)
		got := r.load(load.Options{Count: 100, NewConnPerRequest: true, Timeout: 30 * time.Second})
		if got.OK != 100 {
			t.Error(got)
		}
		r.WaitLine(`worker is dying: its replacement starts now`)
		r.stopClean()
	})
}

// Not parallel: it measures how long clients wait.
func TestNodeMessageLoad(t *testing.T) {
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		r := runThrower(t, major)
		limit := r.patience()
		got := r.load(load.Options{Clients: 8, Duration: 4 * time.Second, NewConnPerRequest: true, Timeout: 30 * time.Second, SlowAfter: limit})
		t.Log(got)
		if got.Failed() != 0 || got.OK == 0 {
			t.Error("not every request was answered")
		}
		if len(got.Slow) > 0 {
			t.Errorf("%d clients waited longer than %v", len(got.Slow), limit)
		}
		r.stopClean()
	})
}

// patience is how long a client may wait for a worker that has to be started before: two seconds, on a machine that starts them quickly.
func (r *nodeRun) patience() time.Duration {
	r.t.Helper()
	boot, err := time.ParseDuration(r.WaitLine(`worker ready .* after=(\S+)`)[1])
	if err != nil {
		r.t.Fatal(err)
	}
	return max(2*time.Second, 8*boot)
}
