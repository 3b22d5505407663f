package lifecycle

import (
	"math"
	"time"
)

// judge decides whether an exit was a failure, and when the slot may have its next worker.
func (s *step) judge(w *Worker, why string) Announce {
	a := Announce{News: NewsFailed, Worker: w.ID, Slot: w.Slot, Reason: w.Reason, Why: why, Recycled: w.recycledAs(), Hang: w.Hang}
	if s.expected(w) {
		a.News = NewsLeft
		return a
	}
	stable := w.Served && !s.now.Before(w.ReadyAt.Add(s.Policy.MinUptime))
	announced := w.Reason == ReasonDying && w.Served
	switch {
	case w.Slot == NoSlot:
		a.After = s.spareFailed(w)
	case w.Slot >= len(s.Slots):
	default:
		if !s.onTrial(w) {
			s.Slots[w.Slot].Respawns++
		}
		if w.Reason == ReasonHung || !stable && !announced {
			a.After = s.slotFailed(w.Slot)
		}
	}
	return a
}

// onTrial tells whether the worker is of a generation that has not proved itself, or never did: its slot has lost nobody who is to be replaced.
func (s *step) onTrial(w *Worker) bool {
	r := s.Rollout
	proved := r != nil && w.Gen == r.To && r.Committed && w.Served
	return w.Gen > s.Gen && !proved
}

// expected tells whether the worker was told to go.
func (s *step) expected(w *Worker) bool {
	switch w.Reason {
	case ReasonStop, ReasonScale, ReasonSuperseded, ReasonRecycled, ReasonAbandoned, ReasonLost:
		return true
	case ReasonNone, ReasonDying, ReasonTimedOut, ReasonHung, ReasonOverdue, ReasonReplaced:
	}
	return s.Stopping
}

// slotFailed counts a failure and returns the delay of the next try.
func (s *step) slotFailed(i int) time.Duration {
	slot := &s.Slots[i]
	slot.Failures++
	delay := s.jitter(backoff(s.Policy, slot.Failures))
	slot.NextSpawn = s.now.Add(delay)
	switch {
	case s.Policy.GiveUpAfter > 0 && slot.Failures >= s.Policy.GiveUpAfter && len(s.occupants(i)) == 0:
		slot.GaveUp = true
		s.emit(Announce{News: NewsGaveUp, Slot: i})
	case slot.Failures == crashLoopFailures:
		s.emit(Announce{News: NewsCrashLooping, Slot: i, After: delay})
	}
	s.appFailed()
	return max(delay, s.HoldUntil.Sub(s.now))
}

// appFailed adds to the app's intensity, which decays over the window, and holds back every failing slot when there is too much of it.
func (s *step) appFailed() {
	limit := float64(s.Policy.Failures * max(s.Want, 1))
	decay := s.now.Sub(s.IntensityAt).Seconds() / s.Policy.Window.Seconds() * limit
	s.Intensity = math.Max(0, s.Intensity-decay) + 1
	s.IntensityAt = s.now
	if s.Intensity <= limit {
		return
	}
	s.Intensity /= 2
	hold := s.jitter(s.Policy.BackoffMax)
	s.HoldUntil = s.now.Add(hold)
	s.emit(Announce{News: NewsBackingOff, Slot: NoSlot, After: hold})
}

func (s *step) spareFailed(w *Worker) time.Duration {
	if w.Phase == Waiting && !s.now.Before(w.ReadyAt.Add(s.Policy.MinUptime)) {
		return 0
	}
	s.SpareFailed++
	delay := s.jitter(backoff(s.Policy, s.SpareFailed))
	s.SpareNext = s.now.Add(delay)
	return delay
}

// stable forgives a slot whose worker has lived long enough.
func (s *step) stable(w *Worker) {
	w.StableAt = time.Time{}
	slot := &s.Slots[w.Slot]
	if slot.Failures >= crashLoopFailures {
		s.emit(Announce{News: NewsRecovered, Worker: w.ID, Slot: w.Slot})
	}
	slot.Failures, slot.NextSpawn = 0, time.Time{}
}

// backoff is the delay after the n-th consecutive failure: doubling, up to the ceiling.
func backoff(p Policy, n int) time.Duration {
	d := p.BackoffMin
	for range n - 1 {
		if d >= p.BackoffMax/2 {
			return p.BackoffMax
		}
		d *= 2
	}
	return min(d, p.BackoffMax)
}

// jitter returns d with up to a quarter taken off, so that slots that failed together do not come back together.
func (s *step) jitter(d time.Duration) time.Duration {
	s.random()
	return d - time.Duration(float64(d)/4*float64(s.Seed%1024)/1024)
}

// random moves the seed on.
func (s *step) random() {
	s.Seed ^= s.Seed << 13
	s.Seed ^= s.Seed >> 7
	s.Seed ^= s.Seed << 17
}
