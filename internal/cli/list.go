package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/spf13/cobra"
)

type listCommand struct {
	revealFlag
	json   bool
	quiet  bool
	watch  bool
	sort   string
	stdout *os.File
	stderr *os.File
}

func newList(stdout, stderr *os.File) *cobra.Command {
	l := &listCommand{stdout: stdout, stderr: stderr}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls", "l", "ps", "status"},
		Short:   "Show the apps",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&l.json, "json", false, "print everything about them, as JSON")
	cmd.Flags().BoolVarP(&l.quiet, "quiet", "q", false, "print their names alone")
	cmd.Flags().StringVar(&l.sort, "sort", "id", "order them by `FIELD`: id, name, state, cpu, memory, respawns or up; with :desc the other way round")
	cmd.Flags().BoolVarP(&l.watch, "watch", "w", false, "go on, every two seconds, until ^C")
	l.flags(cmd.Flags())
	return cmd
}

func (l *listCommand) run(ctx context.Context) error {
	order, err := orderBy(l.sort)
	if err != nil {
		return err
	}
	if !l.watch {
		return l.print(ctx, order)
	}
	return l.again(ctx, func() error { return l.print(ctx, order) })
}

func (l *listCommand) print(ctx context.Context, order func(a, b subject) int) error {
	all, daemon, err := everything(ctx)
	if err != nil {
		return err
	}
	defer closeAll(all, daemon)
	slices.SortStableFunc(all, order)
	switch {
	case l.json:
		return l.printJSON(ctx, all)
	case l.quiet:
		return l.printNames(all)
	}
	return l.printTable(all)
}

// listed is an app as list --json prints it: the daemon's entry, or one without a number of an app of muster run.
func listed(s subject) api.Entry {
	if s.entry != nil {
		return *s.entry
	}
	e := api.Entry{Name: s.name, State: api.EntryRunning, Since: s.info.Started, PID: s.info.PID, Socket: s.info.Socket}
	if s.err != nil {
		e.Silent = s.err.Error()
	} else {
		e.App = &s.app
	}
	return e
}

func (l *listCommand) printJSON(ctx context.Context, all []subject) error {
	entries := make([]api.Entry, len(all))
	for i, s := range all {
		if l.reveal {
			if err := s.unmask(ctx); err != nil {
				return err
			}
		}
		entries[i] = listed(s)
	}
	return printJSON(l.stdout, entries)
}

// unmask asks again for what was found without secrets.
func (s *subject) unmask(ctx context.Context) error {
	if s.entry != nil {
		e, err := revealedEntry(ctx, s.name)
		if err != nil {
			return err
		}
		s.entry = &e
	}
	if !s.running() {
		return nil
	}
	a, err := s.client.Revealing().App(ctx)
	if err == nil && s.entry != nil {
		s.entry.App = &a
	}
	s.app = a
	return err
}

// revealedEntry is what the daemon knows of an app, with secrets.
func revealedEntry(ctx context.Context, name string) (e api.Entry, err error) {
	err = withDaemon(ctx, func(ctx context.Context, daemon *client.Client) error {
		e, err = daemon.Revealing().Entry(ctx, name)
		return err
	})
	return e, err
}

func (l *listCommand) printNames(all []subject) error {
	for _, s := range all {
		if _, err := fmt.Fprintln(l.stdout, s.name); err != nil {
			return err
		}
	}
	return nil
}

func (l *listCommand) printTable(all []subject) error {
	if len(all) == 0 {
		fmt.Fprintln(l.stderr, "there is no app; to start one: muster start FILE")
		return nil
	}
	rows := [][]string{{"ID", "NAME", "STATE", "WORKERS", "CPU", "MEMORY", "RESPAWNS", "UP", "LISTEN"}}
	for _, s := range all {
		rows = append(rows, s.row())
	}
	return printRows(l.stdout, rows)
}

// row is what list says of an app.
func (s subject) row() []string {
	if s.running() {
		a := s.app
		cpu, memory := usageText(a.Usage)
		workers, respawns := fmt.Sprintf("%d/%d", a.Serving, a.Workers), strconv.Itoa(a.Respawns)
		return []string{s.id(), s.name, string(a.State), workers, cpu, memory, respawns, ago(a.Started), addresses(a)}
	}
	e := listed(s)
	state := string(e.State)
	if e.Silent != "" && e.State == api.EntryRunning {
		state = "no answer"
	}
	return []string{s.id(), s.name, state, "-", "-", "-", "-", "-", cmp.Or(e.Why, "-")}
}

// usageText is what workers take, for people.
func usageText(u *api.Usage) (cpu, memory string) {
	if u == nil {
		return "-", "-"
	}
	return fmt.Sprintf("%.1f%%", u.CPU), sizeText(u.Memory.Bytes())
}

// sizeText is a size of as many digits as somebody reads: "812K", "45.2M", "1.5G".
func sizeText(bytes int64) string {
	size, unit := float64(bytes)/(1<<10), "K"
	for _, larger := range []string{"M", "G", "T"} {
		if size < 1000 {
			break
		}
		size, unit = size/(1<<10), larger
	}
	if size < 100 && unit != "K" {
		return fmt.Sprintf("%.1f%s", size, unit)
	}
	return fmt.Sprintf("%.0f%s", size, unit)
}
