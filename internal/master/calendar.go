package master

import (
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/schedule"
	"github.com/musterd/muster/internal/watch"
)

// calendar is what the master remembers of the schedules of its app. It is plain data.
type calendar struct {
	Job       schedule.Timetable `json:"job,omitzero"`
	Reload    schedule.Timetable `json:"reload,omitzero"`
	Postponed bool               `json:"postponed,omitempty"` // a reload is due, and waits for the end of an operation
	Runs      []*api.Run         `json:"runs,omitempty"`      // the last ones of a job, oldest first
	LastRun   uint64             `json:"last_run,omitempty"`
	Files     watch.Burst        `json:"files,omitzero"`    // changes that may not be over
	Changed   bool               `json:"changed,omitempty"` // files have, and the reload is to come
}

// lookAgain is how long the loop sleeps at most while something is scheduled: a timer counts the time that the computer is awake, and
// clocks can be set.
const lookAgain = time.Minute

// openClock has the master look at the calendar when the clock is set: what a clock that is set forward makes due is not to wait for the next look.
func (m *Master) openClock() {
	if m.clock != nil || m.cfg.App.RunAt == nil && m.cfg.App.ReloadBy == nil {
		return
	}
	c, err := watchClock(func() { m.post(m.clockSet) })
	if err != nil {
		m.log.Debug("clock not watched", keyError, err)
		return
	}
	m.clock = c
}

func (m *Master) clockSet() {
	m.log.Info("clock was set")
	m.lookAtCalendar()
}

// nextDue is when to look at the calendar next.
func (m *Master) nextDue() (time.Time, bool) {
	c := &m.control.memory.Calendar
	at := time.Now().Add(lookAgain)
	known := false
	for _, next := range []time.Time{c.Job.Next, c.Reload.Next} {
		if next.IsZero() {
			continue
		}
		known = true
		if next.Before(at) {
			at = next
		}
	}
	if over, changed := c.Files.Over(m.cfg.App.WatchDelay.Duration()); changed && (!known || over.Before(at)) {
		at, known = over, true
	}
	return at, known
}

// lookAtCalendar begins what is due.
func (m *Master) lookAtCalendar() {
	c, a := &m.control.memory.Calendar, &m.cfg.App
	if m.state.Stopping || m.state.Ended {
		*c = calendar{Runs: c.Runs, LastRun: c.LastRun}
		return
	}
	now, late := time.Now(), a.CatchUp.Duration()
	if d := c.Job.Look(a.RunAt, now, late); !d.At.IsZero() {
		m.due(d)
	}
	if d := c.Reload.Look(a.ReloadBy, now, late); !d.At.IsZero() {
		m.reloadDue(d)
	}
	m.lookAtFiles()
	m.reloadPostponed()
}

func (m *Master) reloadDue(d schedule.Due) {
	if d.Missed > 0 {
		m.log.Warn("scheduled reload missed", keyCount, d.Missed, keyDue, d.At)
	}
	if d.Run {
		m.control.memory.Calendar.Postponed = true
	}
}

// reloadPostponed begins the reload that is due, unless something else is under way: the end of that is the next time to try.
func (m *Master) reloadPostponed() {
	c := &m.control.memory.Calendar
	if !c.Postponed || m.isBusy() {
		return
	}
	c.Postponed = false
	m.resolveAnd(func(cfg Config, err error) {
		if m.isBusy() { // meanwhile
			m.control.memory.Calendar.Postponed = true
			return
		}
		m.log.Info("scheduled reload is due")
		m.roll(api.OperationReload, cfg, err)
	})
}

// isBusy tells whether an operation is under way, or about to be.
func (m *Master) isBusy() bool {
	for _, op := range m.control.memory.Operations {
		if op.State == api.OperationRunning {
			return true
		}
	}
	return m.resolving > 0 || m.upgrading || m.state.Rollout != nil
}

// shownTimes is how many of the next times are told.
const shownTimes = 3

func describeSchedule(s *schedule.Schedule, t schedule.Timetable) *api.Schedule {
	if s == nil {
		return nil
	}
	d := &api.Schedule{Expression: s.String(), Zone: s.Zone().String()}
	for at := t.Next; !at.IsZero() && len(d.Next) < shownTimes; at = s.Next(at) {
		d.Next = append(d.Next, at)
	}
	return d
}

func (m *Master) describeCalendar(a *api.App) {
	c := &m.control.memory.Calendar
	a.Schedule = describeSchedule(m.cfg.App.RunAt, c.Job)
	if a.ReloadAt = describeSchedule(m.cfg.App.ReloadBy, c.Reload); a.ReloadAt != nil {
		a.ReloadAt.Postponed = c.Postponed
	}
	for _, run := range c.Runs {
		a.Runs = append(a.Runs, *run)
	}
}
