package lifecycle

// seats finds the workers of a slot without a look at all the others: what the plan does grows with the number of workers, not with its square.
// Whatever removes a worker or moves it to another slot drops the seats; they are found anew when they are asked for.
type seats struct {
	first []int // by slot, spares before all: the index of its oldest worker, or none
	next  []int // by worker: the index of the next younger one in the same slot, or none
}

const none = -1

func (s *step) seated() seats {
	if s.seats.next == nil {
		s.seats = seats{first: make([]int, 0, len(s.Slots)+1), next: make([]int, len(s.Workers), len(s.Workers)+1)}
		for i := len(s.Workers) - 1; i >= 0; i-- {
			place := s.seats.place(s.Workers[i].Slot)
			s.seats.next[i], *place = *place, i
		}
	}
	return s.seats
}

// place is where the first worker of a slot is noted.
func (t *seats) place(slot int) *int {
	for slot-NoSlot >= len(t.first) {
		t.first = append(t.first, none)
	}
	return &t.first[slot-NoSlot]
}

// seat notes the worker that was added last.
func (s *step) seat() {
	if s.seats.next == nil {
		return
	}
	youngest := len(s.Workers) - 1
	s.seats.next = append(s.seats.next, none)
	at := s.seats.place(s.Workers[youngest].Slot)
	for *at != none {
		at = &s.seats.next[*at]
	}
	*at = youngest
}

// occupants returns the workers of a slot that are not on their way out, oldest first. They are to be used before the next one is spawned.
func (s *step) occupants(slot int) []*Worker {
	t := s.seated()
	if slot-NoSlot >= len(t.first) {
		return nil
	}
	var ws []*Worker
	for i := t.first[slot-NoSlot]; i != none; i = t.next[i] {
		if w := &s.Workers[i]; !w.Leaving() {
			ws = append(ws, w)
		}
	}
	return ws
}

// serving returns the newest worker that serves a slot, or nil.
func (s *step) serving(slot int) *Worker { return newest(s.occupants(slot), Serving, 0) }
