package e2e

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil/load"
)

// Not parallel: it measures how long clients wait. One of two workers computes for three seconds; the other takes its connections.
func TestNodeBlockedWorker(t *testing.T) {
	onNode(t, []int{18, 20, 22, 24, 26}, func(t *testing.T, major int) { testBlocked(t, runPlain(t, major, "-i", "2", fixture("app.js"))) })
	t.Run("steered", func(t *testing.T) {
		testBlocked(t, runNode(t, 26, "-i", "2", fixture("app.js")))
	})
}

func testBlocked(t *testing.T, r *nodeRun) {
	const every, blocked = 50 * time.Millisecond, 3 * time.Second
	r.serving(2)
	r.allAnswer()
	quiet := r.steadily(every, time.Second)
	noise := quiet[len(quiet)-1]

	var victim int
	var wg sync.WaitGroup
	wg.Go(func() {
		victim = r.load(load.Options{Path: fmt.Sprintf("/block/%d", blocked.Milliseconds()), NewConnPerRequest: true}).PIDs()[0]
	})
	r.WaitLine(`blocked$`) // what the worker accepted before is its own
	waits := r.steadily(every, blocked)
	wg.Wait()
	quick, _ := slices.BinarySearch(waits, 250*time.Millisecond+noise)
	t.Logf("%d blocked; %d requests, the slowest took %v, %d%% less than %v; before, the slowest took %v",
		victim, len(waits), waits[len(waits)-1], 100*quick/len(waits), 250*time.Millisecond+noise, noise)
	if slowest := waits[len(waits)-1]; slowest >= blocked/2+noise {
		t.Errorf("a request took %v", slowest)
	}
	if quick*10 < len(waits)*9 {
		t.Errorf("%d of %d requests took less than a quarter of a second: %v", quick, len(waits), waits)
	}
	r.allAnswer() // the blocked one too, now
	r.stopClean()
}

// steadily starts a request on a connection of its own at each tick, whether or not those before were answered, and returns how long each
// took, in order of length. All have to be answered.
func (r *nodeRun) steadily(every, total time.Duration) []time.Duration {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	waits := make([]time.Duration, total/every)
	var wg sync.WaitGroup
	for i := range waits {
		wg.Go(func() {
			got := r.load(load.Options{NewConnPerRequest: true, Timeout: 30 * time.Second})
			if got.OK != 1 {
				r.t.Error(got)
			}
			waits[i] = got.Latency.Max()
		})
		<-ticker.C
	}
	wg.Wait()
	slices.Sort(waits)
	return waits
}

// Not parallel: it compares rates. The connections of a blocked worker are as quick with another as that can serve them.
func TestNodeBlockedWorkerKeepsRate(t *testing.T) {
	r := runPlain(t, 22, "-i", "2", fixture("app.js"))
	r.serving(2)
	busy := load.Options{Clients: 16, Duration: time.Second, NewConnPerRequest: true}
	before := r.load(busy)
	stop := loadUntil(t, r.addr, load.Options{Path: "/block/60000", Count: 1, NoRetry: true, Timeout: time.Minute})
	r.WaitLine(`blocked$`)
	r.load(busy) // until it is known to be blocked
	meanwhile := r.load(busy)
	t.Logf("%.0f requests a second, then %.0f: %s", before.Rate(), meanwhile.Rate(), meanwhile)
	if meanwhile.Failed() != 0 || meanwhile.Rate() < before.Rate()/10 {
		t.Error("the other worker serves too few")
	}
	stop()
}
