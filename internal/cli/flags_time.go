package cli

import (
	"cmp"
	"strings"

	"github.com/musterd/muster/internal/app"
	"github.com/spf13/pflag"
)

// timeFlags are the fields of a spec that say what happens by the clock, by files and around a reload.
func timeFlags(f *pflag.FlagSet, s *app.Spec) {
	f.Var(&dependsValue{&s.DependsOn}, "depends-on", "start no sooner than the app of that name is ready, or completed if it is a job; or what `NAME=CONDITION` says: started, ready, healthy or completed (repeatable)")
	f.BoolVar(&s.Job, "job", false, "run the program to its end, once, and exit as it does")
	f.StringVar(&s.Schedule, "schedule", "", "run it at these times instead, as cron writes them: `\"0 3 * * *\"`, @daily")
	f.StringVar(&s.ReloadAt, "reload-at", "", "reload the app at these times: `\"0 3 * * *\"`")
	f.StringVar(&s.TimeZone, "time-zone", "", "`ZONE` of both, as Europe/Berlin (default: the local one)")
	f.Var(&s.CatchUp, "catch-up", "what was due while nobody could run it is run so late at most (default 1m)")
	f.Var(&wordValue[app.Overlap]{&s.Overlap}, "overlap", "a run that is due while another is under way: skip, queue or replace (default skip)")
	f.Var(&s.JobTimeout, "job-timeout", "a run of a job that takes longer has failed (default: none)")
	f.StringArrayVar(&s.Watch, "watch", nil, "reload when files change: in the app's folder, or with --watch=`PATH` there (repeatable)")
	f.Lookup("watch").NoOptDefVal = "."
	f.StringArrayVar(&s.WatchIgnore, "watch-ignore", nil, "`PATTERN` of files and folders whose change does not count, as dist or *.log (repeatable)")
	f.Var(&s.WatchDelay, "watch-delay", "how long no file may change before the reload (default 200ms)")
	f.StringVar(&s.BeforeReload, "before-reload", "", "shell `COMMAND` to run before a reload starts the first new worker; if it fails there is no reload")
	f.StringVar(&s.AfterReload, "after-reload", "", "shell `COMMAND` to run after a reload")
	f.Var(&s.HookTimeout, "hook-timeout", "such a command that takes longer has failed (default 5m)")
}

// dependsValue adds NAME or NAME=CONDITION to what an app depends on.
type dependsValue struct{ field *app.Dependencies }

func (v *dependsValue) String() string {
	if v.field == nil {
		return ""
	}
	return strings.Join(v.field.Names(), ",")
}

func (v *dependsValue) Set(text string) error {
	name, until, _ := strings.Cut(text, "=")
	v.field.Add(name, cmp.Or(app.Condition(until), app.ConditionAuto))
	return nil
}

func (v *dependsValue) Type() string { return "NAME" }
