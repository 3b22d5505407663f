package lifecycle

import "time"

// Sense is one of the ways to notice that a worker may be hung.
type Sense string

// The senses.
const (
	SenseQueue     Sense = "queue"     // connections wait for the worker and it takes none
	SenseHeartbeat Sense = "heartbeat" // it has given signs of life by itself, and gives none any more
	SensePing      Sense = "ping"      // it does not answer
)

// hungGrace is the time that a hung worker has to write its stacks.
const hungGrace = 5 * time.Second

// Look is how long before the end of the hang timeout a silent worker is looked at.
func (p Policy) Look() time.Duration { return min(time.Second, p.HangTimeout/4) }

// silence is the field of a sense: when the worker will have been silent for the hang timeout. Zero: it is not silent.
func (w *Worker) silence(by Sense) *time.Time {
	switch by {
	case SenseHeartbeat:
		return &w.BeatBy
	case SensePing:
		return &w.PongBy
	case SenseQueue:
	}
	return &w.HungAt
}

// suspect is the sense by which the worker will be hung first, and when. A zero time: by none.
func (w *Worker) suspect() (by Sense, at time.Time) {
	if w.Phase == Killing || w.Hang != "" {
		return "", time.Time{}
	}
	for _, sense := range []Sense{SensePing, SenseHeartbeat, SenseQueue} {
		if end := *w.silence(sense); !end.IsZero() && (at.IsZero() || end.Before(at)) {
			by, at = sense, end
		}
	}
	return by, at
}

// lookAt is when the worker is to be looked at because it may be hung; zero: there is no need. A look that nobody answers is repeated.
func (w *Worker) lookAt(p Policy) time.Time {
	_, at := w.suspect()
	if at.IsZero() {
		return at
	}
	at = at.Add(-p.Look())
	if again := w.LookedAt.Add(4 * p.Look()); !w.LookedAt.IsZero() && again.After(at) {
		return again
	}
	return at
}

// blocked takes note of a silence, which may have begun before now, or of its end. A worker on its way out takes no connections and gives no
// signs, but it answers as long as it lives.
func (s *step) blocked(w *Worker, ev Blocked) {
	end := w.silence(ev.Sense)
	watched := w.Phase == Serving || w.Phase == Draining && ev.Sense == SensePing
	switch {
	case !ev.Is:
		*end, w.LookedAt = time.Time{}, time.Time{}
	case end.IsZero() && watched && s.Policy.HangTimeout > 0:
		*end = s.now.Add(s.Policy.HangTimeout - ev.For)
	}
}

// beat takes note of a sign of life. Who gives one before it serves will be held to it from then on.
func (s *step) beat(w *Worker) {
	w.Beats = true
	if s.Policy.HangTimeout > 0 && w.Phase == Serving {
		w.BeatBy, w.LookedAt = s.now.Add(s.Policy.HangTimeout), time.Time{}
	}
}

// look has a worker looked at whose silence will soon have lasted for the hang timeout.
func (s *step) look(w *Worker) {
	if due(w.lookAt(s.Policy), s.now) {
		by, _ := w.suspect()
		w.LookedAt = s.now
		s.emit(Examine{Worker: w.ID, Sense: by})
	}
}

// examined ends a worker that is hung. One that is silent for a good reason is looked at again after half of the hang timeout. What was found
// of a worker that has given a sign meanwhile is of no account.
func (s *step) examined(w *Worker, ev Examined) {
	end := w.silence(ev.Sense)
	if w.LookedAt.IsZero() || end.IsZero() || w.Hang != "" || w.Phase == Killing {
		return
	}
	if !ev.Hung {
		*end, w.LookedAt = s.now.Add(s.Policy.HangTimeout/2+s.Policy.Look()), time.Time{}
		return
	}
	s.hung(w, ev.Why)
}

// hung has the worker write its stacks, replaced, and killed. One that was on its way out has no more time than that.
func (s *step) hung(w *Worker, why string) {
	s.countHang(w, why)
	s.emit(Announce{News: NewsHung, Worker: w.ID, Slot: w.Slot, After: s.Policy.HangTimeout, Why: why})
	if w.Leaving() {
		s.emit(Inspect{Worker: w.ID})
	} else {
		s.leave(w, ReasonHung)
		s.generationFailed(w, "hung: "+why)
	}
	w.KillAt, w.TermAt = earliest(w.KillAt, s.now.Add(hungGrace)), time.Time{}
}

// inspected ends the wait for the stacks of a hung worker.
func (s *step) inspected(w *Worker) {
	if w.Hang != "" && w.Phase == Draining {
		w.KillAt = earliest(w.KillAt, s.now)
	}
}

func (s *step) countHang(w *Worker, why string) {
	w.Hang = why
	if w.Slot >= 0 && w.Slot < len(s.Slots) {
		s.Slots[w.Slot].Hangs++
	}
}
