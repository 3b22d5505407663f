package cli

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/musterd/muster/api"
	"github.com/spf13/cobra"
)

type listCommand struct {
	json   bool
	quiet  bool
	stdout *os.File
	stderr *os.File
}

func newList(stdout, stderr *os.File) *cobra.Command {
	l := &listCommand{stdout: stdout, stderr: stderr}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "Show which apps run",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&l.json, "json", false, "print everything about them, as JSON")
	cmd.Flags().BoolVarP(&l.quiet, "quiet", "q", false, "print their names alone")
	return cmd
}

func (l *listCommand) run(ctx context.Context) error {
	all, err := runningApps(ctx)
	if err != nil {
		return err
	}
	for _, f := range all {
		if f.err == nil {
			f.client.Close()
		}
	}
	switch {
	case l.json:
		return l.printJSON(all)
	case l.quiet:
		return l.printNames(all)
	}
	return l.printTable(all)
}

func (l *listCommand) printJSON(all []found) error {
	apps := []api.App{}
	for _, f := range all {
		if f.err == nil {
			apps = append(apps, f.app)
		} else {
			fmt.Fprintln(l.stderr, "muster: "+f.err.Error())
		}
	}
	return printJSON(l.stdout, apps)
}

func (l *listCommand) printNames(all []found) error {
	for _, f := range all {
		if _, err := fmt.Fprintln(l.stdout, f.info.Name); err != nil {
			return err
		}
	}
	return nil
}

func (l *listCommand) printTable(all []found) error {
	if len(all) == 0 {
		fmt.Fprintln(l.stderr, "no app runs")
		return nil
	}
	t := newTable(l.stdout)
	fmt.Fprintln(t, "NAME\tSTATE\tWORKERS\tGENERATION\tRESPAWNS\tLISTEN\tSINCE\tPID")
	for _, f := range all {
		if f.err != nil {
			fmt.Fprintf(t, "%s\tno answer\t-\t-\t-\t-\t%s\t%d\n", f.info.Name, ago(f.info.Started), f.info.PID)
			continue
		}
		a := f.app
		fmt.Fprintf(t, "%s\t%s\t%d/%d\t%d\t%d\t%s\t%s\t%d\n",
			a.Name, a.State, a.Serving, a.Workers, a.Generation, a.Respawns, addresses(a), ago(a.Started), a.PID)
	}
	return t.Flush()
}

// newTable aligns columns that are separated by tabs.
func newTable(stdout *os.File) *tabwriter.Writer { return tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0) }
