package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/musterd/muster/api"
)

// scheduleText is when something is due next, and by which expression.
func scheduleText(s *api.Schedule) string {
	text := "never"
	if len(s.Next) > 0 {
		text = momentText(s.Next[0]) + ", in " + short(time.Until(s.Next[0]))
	}
	if s.Postponed {
		text = "as soon as nothing else is under way, then " + text
	}
	zone := s.Zone
	if zone == "Local" {
		zone = "local time"
	}
	return text + " (" + strings.TrimPrefix(s.Expression, "CRON_TZ="+s.Zone+" ") + ", " + zone + ")"
}

func laterText(s *api.Schedule) string {
	var times []string
	for _, at := range s.Next[min(1, len(s.Next)):] {
		times = append(times, momentText(at))
	}
	return strings.Join(times, ", ")
}

func momentText(at time.Time) string { return at.Format("Mon 2006-01-02 15:04:05 MST") }

// printSchedules adds the lines about schedules to what show prints of an app.
func printSchedules(line func(key, value string), a api.App) {
	if a.Schedule != nil {
		line("next run", scheduleText(a.Schedule))
		if later := laterText(a.Schedule); later != "" {
			line("then", later)
		}
	}
	if a.ReloadAt != nil {
		line("next reload", scheduleText(a.ReloadAt))
	}
}

// printRuns is a table of the last runs of a job.
func printRuns(stdout *os.File, a api.App) error {
	if len(a.Runs) == 0 {
		return nil
	}
	fmt.Fprintln(stdout)
	t := newTable(stdout)
	fmt.Fprintln(t, "RUN\tSTATE\tDUE\tTOOK\tTRIES\tEXIT\tNOTE")
	for _, run := range a.Runs {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n",
			run.ID, run.State, momentText(run.Due.Local()), tookText(run), dashed(run.Tries), orDash(run.Exit), runNote(run))
	}
	return t.Flush()
}

func tookText(run api.Run) string {
	switch {
	case run.Started.IsZero():
		return "-"
	case run.Ended.IsZero():
		return ago(run.Started) + " so far"
	}
	return short(run.Took.Duration())
}

func dashed(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func runNote(run api.Run) string {
	switch {
	case run.State == api.RunMissed:
		return count(run.Missed, "time") + " missed"
	case run.Why != "":
		return run.Why
	case run.Missed > 0:
		return count(run.Missed, "time") + " before it missed"
	case len(run.Stderr) > 0:
		return run.Stderr[len(run.Stderr)-1]
	}
	return ""
}

// runText is an event about a run, in words.
func runText(e api.Event) string {
	if e.Run == nil {
		return string(e.Kind)
	}
	switch run := e.Run; e.Kind {
	case api.EventRunBegan:
		return fmt.Sprintf("run %d began", run.ID)
	case api.EventRunEnded:
		text := fmt.Sprintf("run %d %s after %s", run.ID, run.State, short(run.Took.Duration()))
		if run.Exit != "" && run.State != api.RunSucceeded {
			text += ", " + run.Exit
		}
		return text
	default:
		return fmt.Sprintf("run %d %s: %s", run.ID, run.State, run.Why)
	}
}

// explainJob says in words what a job does.
func explainJob(text *strings.Builder, a api.App) {
	fmt.Fprintf(text, "%s is %s: a job, by %s.\n", a.Name, a.State, strings.Join(a.Command, " "))
	if a.Schedule != nil {
		fmt.Fprintf(text, "Its next run: %s.\n", scheduleText(a.Schedule))
	}
	if n := len(a.Runs); n > 0 {
		run := a.Runs[n-1]
		fmt.Fprintf(text, "Its last run, %d, is %s.", run.ID, run.State)
		if note := runNote(run); note != "" {
			fmt.Fprintf(text, " %s", note)
		}
		fmt.Fprintln(text)
	}
}
