package lifecycle

// ResetCounters makes the counters of respawns start at zero. What decides on the next start stays: failures in a row, and pauses.
func (s *State) ResetCounters() {
	for i := range s.Slots {
		s.Slots[i].Respawns = 0
	}
}
