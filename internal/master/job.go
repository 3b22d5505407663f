package master

import (
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/schedule"
)

// keptRuns is how many runs of a job are remembered.
const keptRuns = 20

func jobPolicy(a app.App) *lifecycle.JobPolicy {
	if !a.Job {
		return nil
	}
	return &lifecycle.JobPolicy{Once: a.Once(), Overlap: lifecycle.Overlap(a.Overlap), Timeout: a.JobTimeout.Duration()}
}

// staysJob tells why a running master cannot become what a describes.
func (m *Master) staysJob(a app.App) error {
	if a.Job == m.cfg.App.Job && a.Once() == m.cfg.App.Once() {
		return nil
	}
	return &app.Error{
		Field: "schedule", Value: a.Schedule, Reason: "what serves, what runs once and what runs by a schedule cannot become one another while the app runs",
		Hint: "stop the app and start it again",
	}
}

// beginJob says that a job is there, which has no worker yet, and runs what runs once.
func (m *Master) beginJob() {
	if !m.cfg.App.Job || m.control.memory.Served || m.state.Ended {
		return
	}
	m.control.memory.Served = true
	m.tellAbove()
	if m.cfg.App.Once() {
		m.startRun(time.Now().Truncate(time.Second), 0)
	}
}

// due runs a job, or notes that it is too late.
func (m *Master) due(d schedule.Due) {
	if d.Run {
		m.startRun(d.At, d.Missed)
		return
	}
	run := m.newRun(d.At, d.Missed)
	run.State, run.Why = api.RunMissed, "nobody could run it in time"
	m.log.Warn("run missed", keyCount, d.Missed, keyDue, d.At)
	m.publish(api.Event{Kind: api.EventRunSkipped, Slot: api.NoSlot, Why: run.Why, Run: copyOf(run)})
}

func (m *Master) startRun(due time.Time, missed int) {
	if missed > 0 {
		m.log.Warn("runs missed", keyCount, missed, keyDue, due)
	}
	run := m.newRun(due, missed)
	run.State = api.RunWaiting
	m.step(lifecycle.Fire{Run: run.ID})
}

func (m *Master) newRun(due time.Time, missed int) *api.Run {
	c := &m.control.memory.Calendar
	c.LastRun++
	run := &api.Run{ID: c.LastRun, Due: due, Missed: missed}
	all := append(c.Runs, run)
	c.Runs = all[max(0, len(all)-keptRuns):]
	return run
}

// findRun finds one that is remembered, or nil.
func (m *Master) findRun(id uint64) *api.Run {
	for _, run := range m.control.memory.Calendar.Runs {
		if run.ID == id {
			return run
		}
	}
	return nil
}

func copyOf(run *api.Run) *api.Run {
	if run == nil {
		return nil
	}
	c := *run
	return &c
}

// noteRun notes what became of a run.
func (m *Master) noteRun(a lifecycle.Announce) {
	run := m.findRun(a.Run)
	if run == nil {
		return
	}
	switch a.News {
	case lifecycle.NewsRunBegan:
		run.State, run.Started = api.RunRunning, time.Now()
	case lifecycle.NewsRunSkipped:
		run.State, run.Why = api.RunSkipped, a.Why
	case lifecycle.NewsRunEnded:
		run.State, run.Ended = api.RunState(a.Outcome), time.Now()
		run.Took = app.Duration(run.Ended.Sub(run.Started).Round(time.Millisecond))
	default:
	}
}

// noteTry notes how a try of a run has ended.
func (m *Master) noteTry(a lifecycle.Announce) {
	run := m.findRun(a.Run)
	if run == nil {
		return
	}
	run.Tries++
	run.Exit, run.Code, run.Stderr = a.Why, exitSuccess, nil
	if a.News == lifecycle.NewsFailed {
		run.Code, run.Stderr = exitCodeOf(m.lastExit), m.lastLines(a.Worker)
	}
	if a.After > 0 {
		run.State = api.RunRetrying
	}
}

const exitSuccess = 0

// noteTryBegins notes that a worker of a run is being started.
func (m *Master) noteTryBegins() {
	if run := m.findRun(m.state.Job.Run); run != nil {
		run.State = api.RunRunning
	}
}

// announceRun writes to the log what became of a run, and ends the master with its only one.
func (m *Master) announceRun(a lifecycle.Announce) {
	log := m.log.With(keyRun, a.Run)
	switch run := m.findRun(a.Run); {
	case a.News == lifecycle.NewsCompleted:
		m.exitCode = m.completedCode()
		m.log.Info("completed", keyCode, m.exitCode)
		m.ended = true
	case run == nil:
	case a.News == lifecycle.NewsRunBegan:
		log.Info("run began", keyDue, run.Due)
	case a.News == lifecycle.NewsRunSkipped:
		log.Warn("run skipped", keyReason, a.Why, keyDue, run.Due)
	case a.Outcome == lifecycle.OutcomeSucceeded:
		log.Info("run succeeded", keyAfter, run.Took)
	case a.Outcome == lifecycle.OutcomeReplaced, a.Outcome == lifecycle.OutcomeStopped:
		log.Warn("run ended early", keyReason, string(a.Outcome), keyAfter, run.Took, keyExit, run.Exit)
	default:
		log.Error("run failed", keyReason, string(a.Outcome), keyAfter, run.Took, keyExit, run.Exit, keyTries, run.Tries)
	}
}

// completedCode is the exit code of a master whose only run has ended: its own, but never success for what failed.
func (m *Master) completedCode() int {
	runs := m.control.memory.Calendar.Runs
	if len(runs) == 0 || runs[len(runs)-1].State == api.RunSucceeded {
		return exitSuccess
	}
	return exitCodeOf(m.lastExit)
}

// stoppedCode is the exit code after a stop. What should have run to its end, and has not, has not succeeded.
func (m *Master) stoppedCode() int {
	if m.cfg.App.Once() {
		return m.completedCode()
	}
	return exitSuccess
}

func (m *Master) jobState() api.AppState {
	switch {
	case m.state.Ended:
		return api.AppCompleted
	case m.state.Idle():
		return api.AppScheduled
	}
	return api.AppRunning
}
