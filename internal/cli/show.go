package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/musterd/muster/api"
	"github.com/spf13/cobra"
)

type showCommand struct {
	revealFlag
	json   bool
	quiet  bool
	stdout *os.File
}

func newShow(stdout *os.File) *cobra.Command {
	s := &showCommand{stdout: stdout}
	cmd := &cobra.Command{
		Use:     "show [NAME...|all]",
		Aliases: []string{"describe", "desc", "info"},
		Short:   "Show an app and its workers",
		RunE:    func(cmd *cobra.Command, args []string) error { return s.run(cmd.Context(), args) },
	}
	cmd.Flags().BoolVar(&s.json, "json", false, "print everything that there is to know, as JSON")
	cmd.Flags().BoolVarP(&s.quiet, "quiet", "q", false, "print the process ids of the workers alone")
	s.flags(cmd.Flags())
	return cmd
}

func (s *showCommand) run(ctx context.Context, args []string) error {
	chosen, daemon, err := choose(ctx, args)
	if err != nil {
		return err
	}
	defer closeAll(chosen, daemon)
	if s.json {
		return printEach(ctx, s.stdout, chosen, s.everything)
	}
	return separated(s.stdout, chosen, s.quiet, func(t subject) error { return s.show(ctx, t) })
}

// printEach prints what there is of one app as it is, and of several as a list.
func printEach[T any](ctx context.Context, stdout *os.File, chosen []subject, of func(context.Context, subject) (T, error)) error {
	all := make([]T, len(chosen))
	for i, t := range chosen {
		var err error
		if all[i], err = of(ctx, t); err != nil {
			return err
		}
	}
	if len(all) == 1 {
		return printJSON(stdout, all[0])
	}
	return printJSON(stdout, all)
}

// separated prints something of each app, with an empty line between, unless it is terse.
func separated(stdout *os.File, chosen []subject, terse bool, show func(subject) error) error {
	for i, t := range chosen {
		if i > 0 && !terse {
			if _, err := fmt.Fprintln(stdout); err != nil {
				return err
			}
		}
		if err := show(t); err != nil {
			return err
		}
	}
	return nil
}

// everything is what show --json prints: an api.App, or, of an app that does not run, an api.Entry.
func (s *showCommand) everything(ctx context.Context, t subject) (any, error) {
	switch {
	case t.running():
		return s.app(ctx, t.target)
	case t.entry == nil:
		return nil, t.err
	}
	return s.entryOf(ctx, t)
}

func (s *showCommand) show(ctx context.Context, t subject) error {
	if !t.running() {
		return s.showIdle(ctx, t)
	}
	if s.quiet {
		return s.printPIDs(t.app)
	}
	a, err := s.app(ctx, t.target)
	if err != nil {
		return err
	}
	s.printApp(a)
	if err := s.printWorkers(a); err != nil {
		return err
	}
	return printRuns(s.stdout, a)
}

func (s *showCommand) entryOf(ctx context.Context, t subject) (api.Entry, error) {
	if s.reveal {
		return revealedEntry(ctx, t.name)
	}
	return *t.entry, nil
}

// showIdle shows an app of the daemon that does not run.
func (s *showCommand) showIdle(ctx context.Context, t subject) error {
	if t.entry == nil {
		return t.err
	}
	e, err := s.entryOf(ctx, t)
	if err != nil || s.quiet {
		return err
	}
	s.line("name", e.Name)
	s.line("state", string(e.State)+" for "+ago(e.Since))
	if e.Why != "" {
		s.line("why", e.Why)
	}
	if e.State == api.EntryWaiting {
		s.line("next try", "in "+short(time.Until(e.RetryAt)))
	}
	if e.Launch != nil {
		s.line("command", strings.Join(e.Launch.Spec.Command, " "))
		s.line("directory", e.Launch.Base)
	}
	return t.err
}

func (s *showCommand) line(key, value string) { fmt.Fprintf(s.stdout, "%-11s %s\n", key, value) }

func (s *showCommand) printPIDs(a api.App) error {
	for _, w := range workersOf(a) {
		if w.PID == 0 {
			continue
		}
		if _, err := fmt.Fprintln(s.stdout, w.PID); err != nil {
			return err
		}
	}
	return nil
}

// workersOf are all workers, by slot, spares last.
func workersOf(a api.App) []api.Worker {
	var all []api.Worker
	for _, slot := range a.Slots {
		all = append(all, slot.Workers...)
	}
	return append(all, a.Spares...)
}

func (s *showCommand) printApp(a api.App) {
	line := s.line
	line("name", a.Name)
	line("state", fmt.Sprintf("%s, %d of %s", a.State, a.Serving, count(a.Workers, "worker")))
	line("master", fmt.Sprintf("process %d since %s, %s", a.PID, ago(a.Started), a.Version))
	line("command", strings.Join(a.Command, " "))
	line("directory", a.Dir)
	line("listen", addresses(a))
	line("hand-off", a.Handoff)
	line("balance", a.Balance+": "+a.BalanceWhy)
	line("generation", generationText(a))
	for _, text := range limitTexts(a.Limits) {
		line("limits", text)
	}
	for _, text := range a.Refused {
		line("refused", text)
	}
	if u := a.Usage; u != nil {
		cpu, memory := usageText(u)
		line("takes", fmt.Sprintf("%s of a CPU, %s of memory, %s", cpu, memory, processes(u.Processes)))
	}
	printSchedules(line, a)
	if a.Rescued > 0 {
		line("rescued", count(int(a.Rescued), "connection"))
	}
	if hang := a.Spec.HangTimeout.Duration(); hang > 0 {
		line("hangs", fmt.Sprintf("%d so far; a worker is hung after %s", a.Hangs, short(hang)))
	}
	for _, op := range a.Operations {
		if op.State == api.OperationRunning {
			line("under way", operationText(&op))
		}
	}
	fmt.Fprintln(s.stdout)
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return strconv.Itoa(n) + " processes"
}

func generationText(a api.App) string {
	text := strconv.FormatUint(a.Generation, 10)
	if a.Rolling != 0 {
		text += fmt.Sprintf(", %d is coming", a.Rolling)
	}
	return text
}

func (s *showCommand) printWorkers(a api.App) error {
	t := newTable(s.stdout)
	fmt.Fprintln(t, "SLOT\tWORKER\tPID\tSTATE\tSINCE\tCPU\tMEMORY\tGENERATION\tRESPAWNS\tFAILURES\tWAITING\tNOTE")
	for _, slot := range a.Slots {
		if len(slot.Workers) == 0 {
			fmt.Fprintf(t, "%d\t-\t-\t%s\t-\t-\t-\t-\t%d\t%d\t%d\t%s\n", slot.Slot, slot.State, slot.Respawns, slot.Failures, slot.Waiting, slotNote(slot))
		}
		for _, w := range slot.Workers {
			cpu, memory := usageText(w.Usage)
			fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n",
				slot.Slot, w.ID, pidText(w), w.Phase, ago(w.Since), cpu, memory, w.Generation, slot.Respawns, slot.Failures, slot.Waiting, workerNote(slot, w))
		}
	}
	for _, w := range a.Spares {
		cpu, memory := usageText(w.Usage)
		fmt.Fprintf(t, "spare\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t-\t-\t-\t%s\n", w.ID, pidText(w), w.Phase, ago(w.Since), cpu, memory, w.Generation, w.Status)
	}
	return t.Flush()
}

func pidText(w api.Worker) string {
	if w.PID == 0 {
		return "-"
	}
	return strconv.Itoa(w.PID)
}

// workerNote is what is out of the ordinary about a worker, or what it says of itself.
func workerNote(slot api.Slot, w api.Worker) string {
	switch {
	case !w.BlockedSince.IsZero():
		return "blocked for " + ago(w.BlockedSince)
	case w.Recycling != "":
		return "recycling: " + w.Recycling
	case w.Reason != "":
		return w.Reason
	case slot.CrashLooping:
		return "crash-looping"
	}
	return w.Status
}

// slotNote is why a slot is empty.
func slotNote(slot api.Slot) string {
	if n := len(slot.Exits); n > 0 {
		return "last: " + slot.Exits[n-1].Why
	}
	return ""
}
