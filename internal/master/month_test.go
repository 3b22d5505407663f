package master

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/schedule"
)

// month is a job with a schedule on a clock of its own: what looks at the calendar, and the core that runs what is due, without processes. After
// each time that is due it is what a successor would read.
type month struct {
	t       *testing.T
	s       *schedule.Schedule
	late    time.Duration
	table   schedule.Timetable
	core    *lifecycle.State
	now     time.Time // that clocks show
	run     uint64
	due     map[uint64]time.Time // of each run
	ends    map[lifecycle.WorkerID]time.Time
	lasts   func(due time.Time) time.Duration // a run
	fates   map[time.Time]string              // of each time that was due
	skipped int                               // times that no look names, but counts
}

func newMonth(t *testing.T, zone, text string, from time.Time, overlap lifecycle.Overlap) *month {
	t.Helper()
	z, err := schedule.LoadZone(zone)
	if err != nil {
		t.Fatal(err)
	}
	s, err := schedule.Parse(text, z)
	if err != nil {
		t.Fatal(err)
	}
	m := &month{
		t: t, s: s, late: time.Minute, now: from, due: map[uint64]time.Time{}, ends: map[lifecycle.WorkerID]time.Time{}, fates: map[time.Time]string{},
		core:  lifecycle.New(lifecycle.Policy{GiveUpAfter: 1, Job: &lifecycle.JobPolicy{Overlap: overlap}}, 1, 1),
		lasts: func(time.Time) time.Duration { return 10 * time.Second },
	}
	m.look()
	return m
}

// settle gives a time its fate, which must be its only one.
func (m *month) settle(at time.Time, fate string) {
	m.t.Helper()
	at = at.UTC()
	if had, twice := m.fates[at]; twice {
		m.t.Fatalf("what was due at %v is %s, and %s", at, had, fate)
	}
	m.fates[at] = fate
}

func (m *month) look() {
	m.t.Helper()
	d := m.table.Look(m.s, m.now, m.late)
	if !d.At.IsZero() {
		missed := d.Missed
		if d.Run {
			m.run++
			m.due[m.run] = d.At
			m.step(lifecycle.Fire{Run: m.run})
		} else {
			missed--
			m.settle(d.At, "missed")
		}
		m.skipped += missed
		m.survive()
	}
}

// survive reads what was written down, as the next master does.
func (m *month) survive() {
	m.t.Helper()
	table, core := schedule.Timetable{}, &lifecycle.State{}
	again := func(from, to any) {
		text, err := json.Marshal(from)
		if err == nil {
			err = json.Unmarshal(text, to)
		}
		if err != nil {
			m.t.Fatal(err)
		}
	}
	again(m.table, &table)
	again(m.core, core)
	m.table, m.core = table, core
}

func (m *month) step(ev lifecycle.Event) {
	m.t.Helper()
	for _, e := range m.core.Step(m.now, ev) {
		switch e := e.(type) {
		case lifecycle.Spawn:
			m.ends[e.Worker] = m.now.Add(m.lasts(m.due[m.core.Job.Run]))
			m.step(lifecycle.Spawned{Worker: e.Worker})
			m.step(lifecycle.Ready{Worker: e.Worker})
		case lifecycle.Drain:
			m.ends[e.Worker] = m.now
		case lifecycle.Announce:
			m.hear(e)
		}
	}
	if len(m.core.Workers) > 1 {
		m.t.Fatalf("two runs at a time: %+v", m.core.Workers)
	}
}

func (m *month) hear(a lifecycle.Announce) {
	m.t.Helper()
	switch a.News {
	case lifecycle.NewsRunBegan:
		m.settle(m.due[a.Run], "ran")
	case lifecycle.NewsRunSkipped:
		m.settle(m.due[a.Run], "skipped")
	default:
	}
}

// set sets the clock, which the master is told of.
func (m *month) set(by time.Duration) {
	m.t.Helper()
	m.now = m.now.Add(by)
	m.look()
}

// pass lets time pass: with a master that looks when something is due, and each minute; or with none.
func (m *month) pass(d time.Duration, hasMaster bool) {
	m.t.Helper()
	for end := m.now.Add(d); m.now.Before(end); {
		next := m.now.Add(lookAgain)
		if !m.table.Next.IsZero() && m.table.Next.Before(next) && m.table.Next.After(m.now) {
			next = m.table.Next
		}
		ended := lifecycle.WorkerID(0)
		for id, at := range m.ends {
			if at.Before(next) {
				next, ended = at, id
			}
		}
		if next.After(end) {
			next, ended = end, 0
		}
		if next.After(m.now) {
			m.now = next
		}
		if ended != 0 && hasMaster {
			delete(m.ends, ended)
			m.step(lifecycle.Exited{Worker: ended, OK: true, Why: "exit status 0"})
		}
		if !hasMaster {
			m.now = end // the next one looks at once
		}
		m.look()
	}
}

// require compares the fates of all that was due until now with how many there should be of each.
func (m *month) require(from time.Time, want map[string]int) {
	m.t.Helper()
	if waiting := m.core.Job.Waiting; waiting != 0 {
		m.settle(m.due[waiting], "waits")
	}
	got, all := map[string]int{}, 0
	for at := m.s.Next(from); !at.IsZero() && !at.After(m.now); at = m.s.Next(at) {
		all++
		if fate, known := m.fates[at.UTC()]; known {
			got[fate]++
		}
	}
	got["missed"] += m.skipped
	sum := 0
	for fate, n := range got {
		sum += n
		if n != want[fate] {
			m.t.Errorf("%d %s, want %d", n, fate, want[fate])
		}
	}
	if sum != all {
		m.t.Errorf("%d were due, %d are accounted for: %v", all, sum, got)
	}
	if len(m.fates) != all-m.skipped {
		m.t.Errorf("%d have a fate of %d that were due, %d more were missed", len(m.fates), all, m.skipped)
	}
}

// TestAMonthOfSchedules lets jobs run through thirty days in which the clocks of their zone are changed, one way or the other: every time that is
// due is run, skipped for the run before, or missed while there was no master, and each once.
func TestAMonthOfSchedules(t *testing.T) {
	t.Parallel()
	spring, autumn := time.Date(2026, 3, 15, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 10, 0, 0, 0, 0, time.UTC)
	const days = 30
	quarter := 4 * 24 * days
	long := func(d time.Duration) func(time.Time) time.Duration { return func(time.Time) time.Duration { return d } }
	tests := []struct {
		name, text string
		from       time.Time
		overlap    lifecycle.Overlap
		lasts      func(time.Time) time.Duration
		noMaster   time.Duration // after ten days
		want       map[string]int
	}{
		{"each night, spring: 02:30 does not exist once", "30 2 * * *", spring, "", nil, 0, map[string]int{"ran": days}},
		{"each night, autumn: 02:30 comes twice once", "30 2 * * *", autumn, "", nil, 0, map[string]int{"ran": days}},
		{"quarters, spring", "*/15 * * * *", spring, "", nil, 0, map[string]int{"ran": quarter}},
		{"quarters, autumn", "*/15 * * * *", autumn, "", nil, 0, map[string]int{"ran": quarter}},
		// Each run takes twenty minutes: every other quarter is skipped, is queued until the next is, or replaces the one before.
		{"overlapping", "*/15 * * * *", spring, lifecycle.OverlapSkip, long(20 * time.Minute), 0, map[string]int{"ran": quarter / 2, "skipped": quarter / 2}},
		{"overlapping, autumn", "*/15 * * * *", autumn, lifecycle.OverlapSkip, long(20 * time.Minute), 0, map[string]int{"ran": quarter / 2, "skipped": quarter / 2}},
		{"queued", "*/15 * * * *", spring, lifecycle.OverlapQueue, long(20 * time.Minute), 0, map[string]int{"ran": 2160, "skipped": 719, "waits": 1}},
		{"replaced", "*/15 * * * *", autumn, lifecycle.OverlapReplace, long(20 * time.Minute), 0, map[string]int{"ran": quarter - 1, "waits": 1}},
		// The next master is there in half a minute: nothing is missed. After a night all is missed, and that is counted.
		{"the master is replaced across a due time", "*/15 * * * *", spring, "", nil, 30 * time.Second, map[string]int{"ran": quarter}},
		{"no master for a night", "*/15 * * * *", autumn, "", nil, 8*time.Hour + 5*time.Minute, map[string]int{"ran": quarter - 33, "missed": 33}},
		{"no master when clocks change", "30 2 * * *", time.Date(2026, 3, 19, 0, 0, 0, 0, time.UTC), "", nil, 6 * time.Hour, map[string]int{"ran": days - 1, "missed": 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMonth(t, "Europe/Berlin", test.text, test.from, test.overlap)
			if test.lasts != nil {
				m.lasts = test.lasts
			}
			m.pass(10*24*time.Hour-10*time.Second, true)
			m.pass(test.noMaster, false)
			m.pass(test.from.Add(days*24*time.Hour).Sub(m.now), true)
			m.require(test.from, test.want)
		})
	}
}

// TestClocksThatAreSet: what a clock that is set forward passes over is missed, one that is set back a little makes nothing due twice, and one
// that is set back by more begins anew from there.
func TestClocksThatAreSet(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	t.Run("forward", func(t *testing.T) {
		t.Parallel()
		m := newMonth(t, "UTC", "*/15 * * * *", from, "")
		m.pass(90*time.Minute+time.Second, true)
		m.set(3*time.Hour + 5*time.Minute) // over 12 quarters, none of which is within catch_up
		m.pass(time.Hour, true)
		m.require(from, map[string]int{"ran": 6 + 4, "missed": 12})
	})
	t.Run("forward, just over one", func(t *testing.T) {
		t.Parallel()
		m := newMonth(t, "UTC", "*/15 * * * *", from, "")
		m.pass(14*time.Minute, true)
		m.set(90 * time.Second)
		m.pass(time.Hour, true)
		m.require(from, map[string]int{"ran": 5})
	})
	t.Run("back by half an hour", func(t *testing.T) {
		t.Parallel()
		m := newMonth(t, "UTC", "*/15 * * * *", from, "")
		m.pass(time.Hour+time.Second, true)
		m.set(-30 * time.Minute)
		m.pass(2*time.Hour, true)
		m.require(from, map[string]int{"ran": 4 + 6}) // those of the half hour are settled once, or require fails
	})
	t.Run("back by a day", func(t *testing.T) {
		t.Parallel()
		m := newMonth(t, "UTC", "0 3 * * *", from, "")
		m.pass(5*24*time.Hour, true)
		m.require(from, map[string]int{"ran": 5})
		m.fates = map[time.Time]string{}
		m.set(-24 * time.Hour) // the fifth night comes again
		again := m.now
		m.pass(3*24*time.Hour, true)
		m.require(again, map[string]int{"ran": 3})
	})
}
