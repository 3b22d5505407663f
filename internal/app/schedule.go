package app

import (
	"errors"
	"path"
	"strings"
	"time"

	"github.com/musterd/muster/internal/schedule"
)

// Overlap names what happens to a run of a job that is due while another is under way.
type Overlap string

// The ways to deal with an overlap.
const (
	OverlapSkip    Overlap = "skip"    // there is no run
	OverlapQueue   Overlap = "queue"   // it follows; one can wait
	OverlapReplace Overlap = "replace" // it follows, and the one under way is ended
)

// What New completes an empty field with, where the app has a schedule, watches files or has hooks.
const (
	DefaultCatchUp     = Duration(time.Minute)
	DefaultWatchDelay  = Duration(200 * time.Millisecond)
	DefaultHookTimeout = Duration(5 * time.Minute)
)

// completeJob makes a job of what has a schedule, and of a job a program that gets no sockets and serves nobody.
func (a *App) completeJob() {
	if a.Schedule != "" {
		a.Job = true
		setDefault(&a.Overlap, OverlapSkip)
	}
	if a.Job {
		setDefault(&a.Workers, "1")
		decide(&a.Handoff, HandoffAuto, HandoffNone)
		decide(&a.Ready, string(ReadyAuto), string(ReadyStart))
	}
	if a.Schedule != "" || a.ReloadAt != "" {
		setDefault(&a.CatchUp, DefaultCatchUp)
	}
	if len(a.Watch) > 0 {
		setDefault(&a.WatchDelay, DefaultWatchDelay)
	}
	if a.BeforeReload != "" || a.AfterReload != "" {
		setDefault(&a.HookTimeout, DefaultHookTimeout)
	}
}

// decide replaces auto, and nothing at all, by what it means here.
func decide[T comparable](field *T, auto, value T) {
	setDefault(field, auto)
	if *field == auto {
		*field = value
	}
}

// parseSchedules reads the fields that say when.
func (a *App) parseSchedules() (err error) {
	zone, err := schedule.LoadZone(a.TimeZone)
	if err != nil {
		return scheduleError("time_zone", a.TimeZone, err)
	}
	if a.RunAt, err = parseSchedule("schedule", a.Schedule, zone); err != nil {
		return err
	}
	a.ReloadBy, err = parseSchedule("reload_at", a.ReloadAt, zone)
	return err
}

func parseSchedule(field, text string, zone *time.Location) (*schedule.Schedule, error) {
	if text == "" {
		return nil, nil
	}
	s, err := schedule.Parse(text, zone)
	if err != nil {
		return nil, scheduleError(field, text, err)
	}
	return s, nil
}

func scheduleError(field, text string, err error) error {
	e, ok := errors.AsType[*schedule.Error](err)
	if !ok {
		return err
	}
	return invalid(field, text, e.Error(), e.Hint)
}

// Once tells whether the app is a job that runs once and ends.
func (a *App) Once() bool { return a.Job && a.RunAt == nil }

func (a *App) checkJob() error {
	if a.Overlap != "" {
		if err := oneOf("overlap", a.Overlap, OverlapSkip, OverlapQueue, OverlapReplace); err != nil {
			return err
		}
	}
	if !a.Job {
		return a.checkNoJob()
	}
	const serves = "a job serves nobody: it runs, and ends"
	switch {
	case len(a.Listeners) > 0:
		return invalid("listen", a.Listen[0], serves, "drop --listen, or make it an app of its own")
	case a.Handoff != HandoffNone:
		return invalid("handoff", string(a.Handoff), serves, "drop --handoff")
	case a.ReadyBy.Kind != ReadyStart:
		return invalid("ready", a.Ready, serves, "drop --ready")
	case a.HealthBy.Kind != HealthNone:
		return invalid("health", a.Health, serves, "drop --health")
	case a.Workers != "1":
		return invalid("workers", a.Workers, "a job has one worker, while it runs", "drop --workers")
	case a.Spares > 0:
		return invalid("spares", "", "a job has none", "drop --spares")
	case a.recycles():
		return invalid("job", "", "its run is not replaced by a fresh worker", "drop --max-age, --max-memory, --max-memory-hard and --max-requests; --job-timeout bounds a run")
	case a.ReloadBy != nil:
		return invalid("reload_at", a.ReloadAt, "a job has no worker to replace", "each run starts the program as it then is")
	case a.Overlap != "" && a.RunAt == nil:
		return invalid("overlap", string(a.Overlap), "a job without a schedule runs once", `add --schedule "0 3 * * *", or drop --overlap`)
	}
	return nil
}

func (a *App) checkNoJob() error {
	const hint = `add --schedule "0 3 * * *", or --job to run once`
	switch {
	case a.Overlap != "":
		return invalid("overlap", string(a.Overlap), "is for jobs", hint)
	case a.JobTimeout != 0:
		return invalid("job_timeout", a.JobTimeout.String(), "is for jobs", hint)
	}
	return nil
}

func (a *App) checkWatch() error {
	for _, p := range a.Watch {
		if p == "" || strings.ContainsRune(p, 0) {
			return invalid("watch", p, "is not a path", "write --watch for the app's folder, or --watch=PATH")
		}
	}
	for _, pattern := range a.WatchIgnore {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return invalid("watch_ignore", pattern, "is not a pattern", "write a name as dist, a pattern as *.log, or a path as public/assets")
		}
	}
	return nil
}

func (a *App) checkTimes() error {
	fields := []struct {
		name  string
		value Duration
	}{
		{"job_timeout", a.JobTimeout}, {"catch_up", a.CatchUp}, {"watch_delay", a.WatchDelay}, {"hook_timeout", a.HookTimeout},
	}
	for _, f := range fields {
		if f.value < 0 {
			return invalid(f.name, f.value.String(), "must be longer than zero", durationHint)
		}
	}
	return nil
}
