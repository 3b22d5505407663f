package lifecycle

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Recycling replaces a worker that serves by a fresh one of the same generation, new first. One token per app sees to it that no two are
// recycled at a time; it is taken from the decision until the old worker has exited. A worker that is urgent needs none.

// limitSpread is how much a worker's limits differ from what the app's owner chose, at most: workers that were born together do not come
// due together.
const limitSpread = 0.1

// spread draws the part by which a worker's limits differ.
func (s *step) spread() float64 {
	s.random()
	const half = 1024
	return limitSpread * (float64((s.Seed+half)%(2*half+1)) - half) / half
}

// Limit is the worker's own share of a limit of recycling; never less than one of one or more.
func (w *Worker) Limit(of int64) int64 {
	if of <= 0 {
		return of
	}
	return max(1, int64(math.Round(float64(of)*(1+w.Spread))))
}

// age says when a worker that serves from now on is to be recycled.
func (s *step) age(w *Worker) {
	if s.Policy.MaxAge > 0 {
		w.RecycleAt = s.now.Add(time.Duration(w.Limit(int64(s.Policy.MaxAge))))
	}
}

func (s *step) agedText(w *Worker) string {
	return fmt.Sprintf("has served for %v (the maximal age is %v, for each worker up to 10%% more or less)", s.now.Sub(w.ReadyAt), s.Policy.MaxAge)
}

// recycle notes that a worker is to be replaced. The first reason counts, unless a later one is more urgent.
func (s *step) recycle(w *Worker, why string, hard bool) {
	if w.Phase != Serving {
		return
	}
	if w.RecycleAs == "" || hard && !w.Urgent {
		w.RecycleAs = why
	}
	if hard && !w.Urgent {
		w.Urgent = true
		s.emit(Announce{News: NewsRecycling, Worker: w.ID, Slot: w.Slot, Why: w.RecycleAs})
	}
}

// grantRecycling gives the one token to the oldest worker that asked, while no reload runs.
func (s *step) grantRecycling() {
	if s.Recycled != 0 || s.Rollout != nil {
		return
	}
	for i := range s.Workers {
		w := &s.Workers[i]
		if w.RecycleAs != "" && !w.Urgent && w.Phase == Serving && w.DrainAt.IsZero() && w.Slot < s.Want {
			s.Recycled = w.ID
			s.emit(Announce{News: NewsRecycling, Worker: w.ID, Slot: w.Slot, Why: w.RecycleAs})
			return
		}
	}
}

// replacedFor is why a worker goes whose slot has an heir.
func (w *Worker) replacedFor(heir *Worker) Reason {
	if w.RecycleAs != "" && heir != nil && heir.Gen == w.Gen {
		return ReasonRecycled
	}
	return ReasonSuperseded
}

// recycledAs is why a worker was recycled, if that is what became of it.
func (w *Worker) recycledAs() string {
	if w.Reason == ReasonRecycled {
		return w.RecycleAs
	}
	return ""
}

// room is how many workers above the wanted number there may be for a replacement to start. What is urgent has a place of its own.
func (s *step) room(n need) int {
	if n.urgent {
		return s.Policy.Surge + 1
	}
	return s.Policy.Surge
}

// rank orders needs: empty slots, then urgent replacements, then the others.
func (n need) rank() int {
	switch {
	case !n.replace:
		return 0
	case n.urgent:
		return 1
	}
	return 2
}

func urges(ws []*Worker) bool {
	return slices.ContainsFunc(ws, func(w *Worker) bool { return w.Urgent })
}
