package lifecycle

import "time"

// JobPolicy makes an app a job: it has no worker but during a run, which is as long as the worker lives. A run whose worker fails is tried
// again until Policy.GiveUpAfter.
type JobPolicy struct {
	Once    bool          `json:"once,omitempty"` // the app ends with its first run
	Overlap Overlap       `json:"overlap,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"` // of a try; zero: none
}

// Overlap says what happens to a run that is due while another is under way.
type Overlap string

// The ways to deal with an overlap. The zero value is OverlapSkip.
const (
	OverlapSkip    Overlap = "skip"    // there is no run
	OverlapQueue   Overlap = "queue"   // it follows; one can wait
	OverlapReplace Overlap = "replace" // it follows, and the one under way is ended
)

// Job is what a job is doing.
type Job struct {
	Run     uint64  `json:"run,omitempty"`     // under way; zero: none
	Waiting uint64  `json:"waiting,omitempty"` // that follows it; zero: none
	Ends    Outcome `json:"ends,omitempty"`    // as what the one under way is being ended
}

// Outcome is how a run ended.
type Outcome string

// The outcomes.
const (
	OutcomeSucceeded Outcome = "succeeded"
	OutcomeFailed    Outcome = "failed"
	OutcomeTimedOut  Outcome = "timed out"
	OutcomeReplaced  Outcome = "replaced" // by the next run
	OutcomeStopped   Outcome = "stopped"  // with the app
)

// fire begins a run, or does what the overlap asks for.
func (s *step) fire(run uint64) {
	j := &s.Job
	p := s.Policy.Job
	switch {
	case p == nil || s.Stopping:
		s.skipRun(run, "the app is being stopped")
	case j.Run == 0:
		s.beginRun(run)
	case p.Overlap == OverlapQueue && j.Waiting == 0:
		j.Waiting = run
	case p.Overlap == OverlapReplace:
		s.skipWaiting("the next run took its place")
		j.Waiting = run
		s.endEarly(OutcomeReplaced, ReasonReplaced)
	default:
		s.skipRun(run, "the run before it was under way")
	}
}

func (s *step) skipRun(run uint64, why string) {
	s.emit(Announce{News: NewsRunSkipped, Slot: NoSlot, Run: run, Why: why})
}

func (s *step) skipWaiting(why string) {
	if s.Job.Waiting != 0 {
		s.skipRun(s.Job.Waiting, why)
		s.Job.Waiting = 0
	}
}

func (s *step) beginRun(run uint64) {
	s.Job.Run = run
	s.emit(Announce{News: NewsRunBegan, Slot: NoSlot, Run: run})
}

// endEarly ends the run under way: with its worker, or at once where it waits for the next try.
func (s *step) endEarly(as Outcome, why Reason) {
	if s.Job.Run == 0 {
		return
	}
	s.Job.Ends = as
	if len(s.Workers) == 0 {
		s.endRun(as, "it waited for its next try")
		return
	}
	for i := range s.Workers {
		s.leave(&s.Workers[i], why)
	}
}

func (s *step) endRun(as Outcome, why string) {
	s.emit(Announce{News: NewsRunEnded, Slot: NoSlot, Run: s.Job.Run, Outcome: as, Why: why})
	s.Job.Run, s.Job.Ends = 0, ""
	for i := range s.Slots {
		s.Slots[i].Failures, s.Slots[i].NextSpawn = 0, time.Time{}
	}
	if next := s.Job.Waiting; next != 0 && !s.Stopping {
		s.Job.Waiting = 0
		s.beginRun(next)
	}
	if s.Policy.Job.Once && !s.Stopping {
		s.ended(NewsCompleted)
	}
}

// runGone judges the end of a job's worker.
func (s *step) runGone(w *Worker, why string, ok bool) {
	finished := ok && (w.Reason == ReasonNone || w.Reason == ReasonDying)
	switch {
	case s.Job.Ends != "":
		s.emit(Announce{News: NewsLeft, Worker: w.ID, Slot: w.Slot, Reason: w.Reason, Why: why, Run: s.Job.Run})
		s.endRun(s.Job.Ends, why)
	case finished:
		s.emit(Announce{News: NewsLeft, Worker: w.ID, Slot: w.Slot, Reason: w.Reason, Why: why, Run: s.Job.Run})
		s.endRun(OutcomeSucceeded, why)
	default:
		s.tryFailed(w, why)
	}
}

// tryFailed has the run tried again, or ends it.
func (s *step) tryFailed(w *Worker, why string) {
	slot := &s.Slots[0]
	slot.Failures++
	slot.Respawns++
	a := Announce{News: NewsFailed, Worker: w.ID, Slot: w.Slot, Reason: w.Reason, Why: why, Run: s.Job.Run}
	if slot.Failures < max(1, s.Policy.GiveUpAfter) {
		a.After = s.jitter(backoff(s.Policy, slot.Failures))
		slot.NextSpawn = s.now.Add(a.After)
		s.emit(a)
		return
	}
	s.emit(a)
	as := OutcomeFailed
	if w.Reason == ReasonOverdue {
		as = OutcomeTimedOut
	}
	s.endRun(as, why)
}

// planJob starts the worker of the run under way.
func (s *step) planJob() {
	j := &s.Job
	if s.Ended || j.Run == 0 || j.Ends != "" || len(s.Workers) > 0 || s.now.Before(s.Slots[0].NextSpawn) {
		return
	}
	s.spawn(0, s.Gen)
}

// stopJob ends the run under way with the app.
func (s *step) stopJob() {
	if s.Policy.Job == nil {
		return
	}
	s.skipWaiting("the app is being stopped")
	s.endEarly(OutcomeStopped, ReasonStop)
}

// reloadJob has the next try, or run, be of a new generation. Nothing serves that could be replaced.
func (s *step) reloadJob(op uint64) {
	s.LastGen++
	s.Gen = s.LastGen
	s.emit(Announce{News: NewsReloaded, Slot: NoSlot, Op: op})
}

// Idle tells whether the app is a job that no run of is under way.
func (s *State) Idle() bool { return s.Policy.Job != nil && s.Job.Run == 0 }
