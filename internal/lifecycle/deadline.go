package lifecycle

import "time"

// NextDeadline is when Step must see a Tick at the latest. It is false when only an event can change anything.
func (s *State) NextDeadline() (time.Time, bool) {
	next := s.Wake
	for i := range s.Workers {
		for _, at := range s.Workers[i].deadlines(s.Policy) {
			if !at.IsZero() {
				next = earliest(next, at)
			}
		}
	}
	return next, !next.IsZero()
}

func (w *Worker) deadlines(p Policy) []time.Time {
	ends := []time.Time{w.StartBy, w.StableAt, w.DrainAt, w.lookAt(p), w.EndBy, w.RecycleAt}
	if w.Spawned { // a process that does not exist yet cannot be ended
		ends = append(ends, w.TermAt, w.KillAt)
	}
	return ends
}

// wake finds the next moment at which the plan may have more to do although nothing happens. A moment that has passed is
// none: then it is not time that is missing.
func (s *step) wake() {
	s.Wake = time.Time{}
	if s.Stopping || s.Ended {
		return
	}
	consider := func(at time.Time) {
		if at.After(s.now) {
			s.Wake = earliest(s.Wake, at)
		}
	}
	for i := range s.Slots {
		consider(s.Slots[i].NextSpawn)
	}
	consider(s.HoldUntil)
	consider(s.SpareNext)
	if s.Rollout != nil {
		consider(s.Rollout.SettleUntil)
	}
}
