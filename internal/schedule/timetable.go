package schedule

import "time"

// Timetable follows a schedule through time: it is what to remember between two looks at the clock, through a pause of any length, and
// through clocks that are set. It is plain data.
type Timetable struct {
	Text string    `json:"text,omitempty"` // of the schedule that it follows; empty: none
	Next time.Time `json:"next,omitzero"`  // when it is due
	Seen time.Time `json:"seen,omitzero"`  // the last look
}

// Due is what a look at the clock found.
type Due struct {
	At     time.Time // the last time at which it was due; zero: none
	Run    bool      // it is not too late
	Missed int       // times before At, and At itself unless Run
}

// setBack is how far a clock may be set back without the schedule beginning anew: within it a time that comes a second time is not due again.
const setBack = time.Hour

// Look tells what has become due by now. However many times have passed, one of them is run at most, the last, and only if it is no more
// than late ago. Another schedule than last time begins now.
func (t *Timetable) Look(s *Schedule, now time.Time, late time.Duration) Due {
	now = now.Round(0) // the calendar counts, not the time that this computer was awake
	seen := t.Seen
	t.Seen = now
	switch {
	case s == nil:
		*t = Timetable{}
		return Due{}
	case t.Text != s.String() || now.Before(seen.Add(-setBack)):
		t.Text, t.Next = s.String(), s.Next(now)
		return Due{}
	case t.Next.IsZero() || now.Before(t.Next):
		if now.Before(seen) {
			t.Seen = seen // the hour counts from the latest look
		}
		return Due{}
	}
	return t.pass(s, now, late)
}

func (t *Timetable) pass(s *Schedule, now time.Time, late time.Duration) Due {
	d := Due{}
	for !t.Next.IsZero() && !t.Next.After(now) {
		if !d.At.IsZero() {
			d.Missed++
		}
		d.At, t.Next = t.Next, s.Next(t.Next)
	}
	d.Run = now.Sub(d.At) <= max(late, grace)
	if !d.Run {
		d.Missed++
	}
	return d
}

// grace is how late a busy computer may be.
const grace = time.Second
