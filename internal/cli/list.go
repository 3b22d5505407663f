package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/spf13/cobra"
)

type listCommand struct {
	revealFlag
	json   bool
	quiet  bool
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
	l.flags(cmd.Flags())
	return cmd
}

func (l *listCommand) run(ctx context.Context) error {
	all, daemon, err := everything(ctx)
	if err != nil {
		return err
	}
	defer closeAll(all, daemon)
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
	t := newTable(l.stdout)
	fmt.Fprintln(t, "ID\tNAME\tSTATE\tWORKERS\tGENERATION\tRESPAWNS\tLISTEN\tSINCE\tPID")
	for _, s := range all {
		fmt.Fprintln(t, s.id()+"\t"+s.name+"\t"+s.row())
	}
	return t.Flush()
}

// row is what list says of an app behind its name.
func (s subject) row() string {
	if s.running() {
		a := s.app
		return fmt.Sprintf("%s\t%d/%d\t%d\t%d\t%s\t%s\t%d", a.State, a.Serving, a.Workers, a.Generation, a.Respawns, addresses(a), ago(a.Started), a.PID)
	}
	e := listed(s)
	state := string(e.State)
	if e.Silent != "" && e.State == api.EntryRunning {
		state = "no answer"
	}
	pid := "-"
	if e.PID != 0 {
		pid = strconv.Itoa(e.PID)
	}
	return fmt.Sprintf("%s\t-\t-\t-\t%s\t%s\t%s", state, cmp.Or(e.Why, "-"), ago(e.Since), pid)
}

// newTable aligns columns that are separated by tabs.
func newTable(stdout *os.File) *tabwriter.Writer { return tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0) }
