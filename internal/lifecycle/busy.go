package lifecycle

import (
	"cmp"
	"slices"
	"time"
)

func (s *step) measured(work map[WorkerID]int64) {
	for i := range s.Workers {
		if n, ok := work[s.Workers[i].ID]; ok {
			s.Workers[i].Work = n
		}
	}
}

// Spreads tells whether a reload under way, or the next one, takes its time with the old workers: only then it counts who has the most work.
func (p Policy) Spreads() bool { return p.RetireOver > 0 }

// busiestFirst gives the moments at which old workers are to retire to those with the most work first: what is long to finish is begun early,
// and the successors take the most load over while there are the most of both.
func (s *step) busiestFirst() {
	var waiting []*Worker
	var turns []time.Time
	for i := range s.Workers {
		if w := &s.Workers[i]; !w.Leaving() && !w.DrainAt.IsZero() {
			waiting, turns = append(waiting, w), append(turns, w.DrainAt)
		}
	}
	slices.SortFunc(turns, time.Time.Compare)
	slices.SortStableFunc(waiting, func(a, b *Worker) int {
		return cmp.Or(cmp.Compare(b.Work, a.Work), a.DrainAt.Compare(b.DrainAt))
	})
	for i, w := range waiting {
		w.DrainAt = turns[i]
	}
}

// workOf is how much the workers of a slot that a reload is to replace have to do; zero where it replaces all as fast as it can.
func (s *step) workOf(ws []*Worker) (sum int64) {
	if s.Rollout == nil || !s.Policy.Spreads() {
		return 0
	}
	for _, w := range ws {
		if w.Phase == Serving && w.Gen != s.Rollout.To {
			sum += w.Work
		}
	}
	return sum
}
