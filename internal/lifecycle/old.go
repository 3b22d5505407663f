package lifecycle

import (
	"slices"
	"time"
)

// lastMoments is what is left to an old generation whose drain is cut short.
const lastMoments = 2 * time.Second

// boundOld cuts the drain of the oldest generations short where more than the policy allows are finishing: reloads that follow each other
// faster than connections end would else pile up workers without bound.
func (s *step) boundOld() {
	old := s.finishing()
	for _, gen := range old[:max(0, len(old)-s.Policy.OldGenerations)] {
		for i := range s.Workers {
			if w := &s.Workers[i]; w.Gen == gen && s.unhurried(w) {
				w.KillAt, w.TermAt = s.now.Add(lastMoments), time.Time{}
				s.emit(Terminate{Worker: w.ID})
			}
		}
	}
}

// finishing are the generations before the newest one that still have the time they were given, oldest first.
func (s *step) finishing() []Generation {
	var gens []Generation
	for i := range s.Workers {
		if w := &s.Workers[i]; s.unhurried(w) && w.Gen < s.LastGen {
			gens = append(gens, w.Gen)
		}
	}
	slices.Sort(gens)
	return slices.Compact(gens)
}

// unhurried tells whether a worker that was replaced by a reload has long to go yet. A spare has nothing to finish.
func (s *step) unhurried(w *Worker) bool {
	return w.Spawned && w.Served && w.Phase == Draining && w.Reason == ReasonSuperseded && w.KillAt.After(s.now.Add(lastMoments))
}
