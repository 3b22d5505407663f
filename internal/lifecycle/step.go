package lifecycle

import (
	"fmt"
	"slices"
	"time"
)

// step is one call of Step: the state, the moment and the effects so far.
type step struct {
	*State
	now     time.Time
	effects []Effect
	seats   seats
}

// Step applies ev at now and returns the effects to carry out, in order. Events about workers that have exited are ignored.
func (s *State) Step(now time.Time, ev Event) []Effect {
	st := &step{State: s, now: now}
	if s.Ended {
		st.tooLate(ev)
		return st.effects
	}
	wasServing := len(s.Workers) > 0 && s.AllServing()
	st.apply(ev)
	st.plan()
	st.wake()
	if !wasServing && !s.Stopping && s.Policy.Job == nil && s.Want > 0 && s.AllServing() {
		st.emit(Announce{News: NewsServing, Slot: NoSlot})
	}
	return st.effects
}

func (s *step) emit(e Effect) { s.effects = append(s.effects, e) }

// tooLate answers what asks for an answer when the app is over.
func (s *step) tooLate(ev Event) {
	s.Wake = time.Time{}
	switch ev := ev.(type) {
	case Reload:
		s.emit(Announce{News: NewsReloadFailed, Slot: NoSlot, Op: ev.Op, Why: "the app has ended"})
	case Fire:
		s.skipRun(ev.Run, "the app has ended")
	default:
	}
}

func (s *step) apply(ev Event) {
	switch ev := ev.(type) {
	case Tick:
	case Scale:
		s.scale(ev.Want)
	case Reload:
		s.reload(ev.Op)
	case Fire:
		s.fire(ev.Run)
	case Stop:
		s.stop(ev.Now)
	case Spawned:
		s.with(ev.Worker, s.spawned)
	case SpawnFailed:
		s.with(ev.Worker, func(w *Worker) {
			w.loseIf(ev.Lost)
			s.gone(w, ev.Why, false)
		})
	case Ready:
		s.with(ev.Worker, s.ready)
	case Dying:
		s.with(ev.Worker, s.dying)
	case Blocked:
		s.with(ev.Worker, func(w *Worker) { s.blocked(w, ev) })
	case Beat:
		s.with(ev.Worker, s.beat)
	case Examined:
		s.with(ev.Worker, func(w *Worker) { s.examined(w, ev) })
	case Inspected:
		s.with(ev.Worker, s.inspected)
	case Extend:
		s.with(ev.Worker, func(w *Worker) { s.extend(w, ev.For) })
	case Recycle:
		s.with(ev.Worker, func(w *Worker) { s.recycle(w, ev.Why, ev.Hard) })
	case Unhealthy:
		s.with(ev.Worker, func(w *Worker) { s.unhealthy(w, ev.Why) })
	case Work:
		s.measured(ev.Of)
	case Ailing:
		s.with(ev.Worker, func(w *Worker) { s.ailing(w, ev.Why) })
	case Exited:
		s.with(ev.Worker, func(w *Worker) {
			w.loseIf(ev.Lost)
			s.gone(w, ev.Why, ev.OK)
		})
	default:
		panic(fmt.Sprintf("lifecycle: unknown event %T", ev))
	}
}

func (s *step) with(id WorkerID, f func(*Worker)) {
	if w := s.Worker(id); w != nil {
		f(w)
	}
}

func (s *step) scale(want int) {
	if s.Stopping || want < 0 || s.Policy.Job != nil {
		return
	}
	for len(s.Slots) < want {
		s.Slots = append(s.Slots, Slot{})
		s.emit(OpenSlot{Slot: len(s.Slots) - 1})
	}
	s.Want = want
}

func (s *step) stop(now bool) {
	if !s.Stopping {
		s.Stopping = true
		s.abort("the app is being stopped", nil)
		s.stopJob()
	}
	for i := range s.Workers {
		w := &s.Workers[i]
		s.leave(w, ReasonStop)
		s.hurry(w)
		if now {
			w.KillAt = s.now
		}
	}
}

func (s *step) spawned(w *Worker) {
	w.Spawned = true
	if w.Leaving() {
		w.KillAt = s.now // it never served anybody
		return
	}
	w.StartBy = s.now.Add(s.Policy.StartTimeout)
}

func (s *step) ready(w *Worker) {
	if w.Phase != Starting {
		return
	}
	w.StartBy, w.Ails = time.Time{}, ""
	w.Spawned = true
	if w.Slot == NoSlot {
		w.Phase, w.ReadyAt, s.SpareFailed = Waiting, s.now, 0
		s.emit(Announce{News: NewsReady, Worker: w.ID, Slot: NoSlot})
		return
	}
	w.Phase, w.Served, w.ReadyAt = Serving, true, s.now
	if job := s.Policy.Job; job != nil {
		if job.Timeout > 0 {
			w.EndBy = s.now.Add(job.Timeout)
		}
		return
	}
	w.StableAt = s.now.Add(s.Policy.MinUptime)
	if w.Beats {
		s.beat(w)
	}
	s.age(w)
	s.emit(Announce{News: NewsReady, Worker: w.ID, Slot: w.Slot})
	s.canaryReady(w)
}

func (s *step) dying(w *Worker) {
	if w.Leaving() {
		return
	}
	w.Phase, w.Reason = Draining, ReasonDying
	w.forget()
	s.setDeadlines(w)
	s.emit(Announce{News: NewsDying, Worker: w.ID, Slot: w.Slot})
	s.generationFailed(w, "it said that it is dying")
}

func (s *step) extend(w *Worker, d time.Duration) {
	to := s.now.Add(d)
	for _, at := range []*time.Time{&w.StartBy, &w.TermAt, &w.KillAt} {
		if !at.IsZero() && at.Before(to) && w.Phase != Killing {
			*at = to
		}
	}
}

func (s *step) unhealthy(w *Worker, why string) {
	if w.Leaving() {
		return
	}
	s.generationFailed(w, why)
	if !w.Leaving() && s.Rollout == nil {
		s.countHang(w, why)
		s.leave(w, ReasonHung)
	}
}

func (s *step) ailing(w *Worker, why string) {
	if w.Phase == Starting {
		w.Ails = why
	}
}

// notReady is what became of a worker that was not ready in time.
func (s *step) notReady(w *Worker) string {
	why := "not ready within " + s.Policy.StartTimeout.String()
	if w.Ails != "" {
		why += ": " + w.Ails
	}
	return why
}

// leave sends a worker on its way out. One that never served has nothing to drain.
func (s *step) leave(w *Worker, why Reason) {
	if w.Leaving() {
		return
	}
	served := w.Phase == Serving
	w.Phase, w.Reason = Draining, why
	w.forget()
	s.setDeadlines(w)
	switch {
	case !w.Spawned: // the process is on its way; Spawned finds the mark
	case served && why != ReasonHung:
		s.emit(Drain{Worker: w.ID})
	case why == ReasonHung:
		s.emit(Inspect{Worker: w.ID})
	default:
		w.TermAt = time.Time{}
		s.emit(Terminate{Worker: w.ID})
	}
}

// forget drops the deadlines of a worker that stays. It still answers as long as it lives.
func (w *Worker) forget() {
	w.StartBy, w.DrainAt, w.HungAt, w.BeatBy = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	w.StableAt, w.RecycleAt, w.EndBy = time.Time{}, time.Time{}, time.Time{}
}

// setDeadlines gives a leaving worker the stop timeout, and the stop signal shortly before its end in case it was asked by message.
func (s *step) setDeadlines(w *Worker) {
	total := s.Policy.StopTimeout
	switch w.Reason {
	case ReasonSuperseded, ReasonRecycled, ReasonScale, ReasonDying:
		total = s.Policy.DrainTimeout
	case ReasonNone, ReasonStop, ReasonAbandoned, ReasonTimedOut, ReasonHung, ReasonOverdue, ReasonReplaced, ReasonLost:
	}
	w.KillAt = s.now.Add(total)
	w.TermAt = w.KillAt.Add(-notice(total))
}

// notice is how long before its end a worker that was asked by message gets the stop signal.
func notice(total time.Duration) time.Duration { return min(2*time.Second, total/4) }

// hurry holds a worker that was leaving already to the stop timeout.
func (s *step) hurry(w *Worker) {
	total := s.Policy.StopTimeout
	w.KillAt = earliest(w.KillAt, s.now.Add(total))
	if last := w.KillAt.Add(-notice(total)); !w.TermAt.IsZero() && last.Before(w.TermAt) {
		w.TermAt = last
	}
}

func (w *Worker) loseIf(lost bool) {
	if lost {
		w.Reason = ReasonLost
	}
}

// gone removes a worker whose process does not exist (any more), and judges what that means for its slot.
func (s *step) gone(w *Worker, why string, ok bool) {
	died := *w
	s.Workers = slices.DeleteFunc(s.Workers, func(o Worker) bool { return o.ID == died.ID })
	s.seats = seats{}
	if s.Recycled == died.ID {
		s.Recycled = 0
	}
	if s.Policy.Job != nil {
		s.runGone(&died, why, ok)
		return
	}
	verdict := s.judge(&died, why)
	s.emit(verdict)
	if verdict.News == NewsFailed {
		s.generationFailed(&died, why)
	}
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
