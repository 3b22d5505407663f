package lifecycle

// A singleton is an app that must never run twice at a time: a consumer of a queue that knows no locks, a timetable. Its slot gets a worker only
// when no process of the app is left, whatever the last one is about to do; so a reload ends the old worker before it tries the new one, and
// brings the old generation back if that one does not hold.

// settleAlone sends away a worker that is not what the slot shall have. Its successor starts at its exit: see needs.
func (s *step) settleAlone(slot int, ws []*Worker) {
	for _, w := range ws {
		switch {
		case w.Gen != s.target(slot) && w.Phase == Starting:
			s.leave(w, ReasonAbandoned)
		case w.Gen != s.target(slot):
			s.leave(w, ReasonSuperseded)
		case w.Urgent, w.ID == s.Recycled && s.Rollout == nil:
			s.leave(w, ReasonRecycled)
		}
	}
}

// crowded tells whether a worker must wait for the end of another.
func (s *step) crowded() bool { return s.Policy.Singleton && len(s.Workers) > 0 }
