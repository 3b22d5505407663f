package lifecycle

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// checkRecycling sees to it that no recycling begins while a reload runs: neither the news of it, nor a second worker of the generation
// that a slot serves.
func (w *world) checkRecycling(e Effect) {
	switch e := e.(type) {
	case Announce:
		k := w.s.Worker(e.Worker)
		if e.News == NewsRecycling && w.s.Rollout != nil && !k.Urgent {
			w.t.Fatalf("worker %d is recycled during a reload", e.Worker)
		}
	case Spawn:
		k := w.s.ServingIn(e.Slot)
		if w.s.Rollout != nil && k != nil && k.Gen == e.Gen && !urgent(w.s, e.Slot, true) {
			w.t.Fatalf("slot %d gets a second worker of generation %d during a reload", e.Slot, e.Gen)
		}
	}
}

// urgency tells whether some slot may have a worker beyond the surge: one is urgently replaced.
func (w *world) urgency() bool {
	for _, k := range w.s.Workers {
		if k.Urgent {
			return true
		}
	}
	return false
}

// recyclesOne counts the workers that are being recycled by their turn.
func (w *world) recyclesOne() {
	n := 0
	for _, k := range w.s.Workers {
		replaced := k.Reason == ReasonRecycled || k.Phase == Serving && w.s.Recycled == k.ID
		if k.RecycleAs != "" && !k.Urgent && replaced {
			n++
		}
	}
	if n > 1 {
		w.t.Fatalf("%d workers are recycled at a time: %+v", n, w.s.Workers)
	}
}

// Whatever happened, in a fair world every worker that is due is recycled in the end, and each slot was served throughout.
func TestRecyclingEndsAndLeavesNoSlotUnserved(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.fair()
		served := w.serving()
		due := map[WorkerID]bool{}
		reloaded := false
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				reloaded = true
				w.op++
				w.step(Reload{Op: w.op})
			case 1:
				w.fairRound()
			default:
				if id, f := w.pick("worker"); f != nil && f.running && w.s.Worker(id).Phase == Serving {
					due[id] = true
					w.step(Recycle{Worker: id, Why: "age", Hard: rapid.IntRange(0, 3).Draw(t, "hard") == 0})
				}
			}
			w.keeps(served)
		}
		w.s.Policy.MaxAge = 0
		for range 4000 {
			if !w.fairRound() {
				at, ok := w.s.NextDeadline()
				if !ok {
					break
				}
				w.now = at
				w.step(Tick{})
			}
			w.keeps(served)
		}
		w.settled()
		for id := range due {
			if k := w.s.Worker(id); k != nil {
				t.Fatalf("worker %d was not recycled (reload: %v): %+v", id, reloaded, k)
			}
		}
	})
}

func (w *world) keeps(served map[int]int) {
	now := w.serving()
	for slot := range served {
		if slot != NoSlot && now[slot] == 0 && !w.s.Policy.Singleton {
			w.t.Fatalf("slot %d is not served while workers are recycled: %+v", slot, w.s.Workers)
		}
	}
}

func TestWorkersBornTogetherDoNotAgeTogether(t *testing.T) {
	t.Parallel()
	const n = 50
	s := New(Policy{MaxAge: time.Hour, MaxStarting: n}, n, 7)
	s.Step(epoch, Tick{})
	seen := map[time.Time]bool{}
	for id := WorkerID(1); id <= n; id++ {
		s.Step(epoch, Spawned{Worker: id})
		s.Step(epoch, Ready{Worker: id})
		at := s.Worker(id).RecycleAt
		if off := at.Sub(epoch) - time.Hour; off < -6*time.Minute || off > 6*time.Minute {
			t.Errorf("worker %d ages at %v", id, at)
		}
		seen[at] = true
	}
	if len(seen) < n*3/4 {
		t.Errorf("%d moments for %d workers", len(seen), n)
	}
	again := New(Policy{MaxAge: time.Hour, MaxStarting: n}, n, 7)
	again.Step(epoch, Tick{})
	for i := range again.Workers {
		if a, b := again.Workers[i].Spread, s.Workers[i].Spread; a != b {
			t.Errorf("worker %d: spread %v, then %v, of the same seed", i+1, b, a)
		}
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		spread   float64
		of, want int64
	}{{0, 1000, 1000}, {0.1, 1000, 1100}, {-0.1, 1000, 900}, {-0.1, 1, 1}, {0.1, 0, 0}, {-0.1, 4, 4}, {0, math.MaxInt32, math.MaxInt32}} {
		if got := (&Worker{Spread: test.spread}).Limit(test.of); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}
