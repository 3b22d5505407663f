package cli

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/spf13/cobra"
)

// manyStops is how many apps are stopped at the same time.
const manyStops = 64

func newStop(stdout, stderr *os.File) *cobra.Command {
	c := newChanger(stdout, stderr)
	cmd := &cobra.Command{
		Use:   "stop [NAME...|all]",
		Short: "End an app: its workers first, then its master",
		Long: `End an app: its workers first, then its master.

An app that was begun by muster start stays in the list; muster start NAME starts it again, muster delete NAME forgets it.`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.stop(cmd.Context(), args) },
	}
	cmd.Flags().BoolVar(&c.now, "now", false, "kill the workers without letting them finish")
	c.flags(cmd.Flags())
	return cmd
}

func (c *changer) stop(ctx context.Context, args []string) error {
	chosen, daemon, err := choose(ctx, args)
	if err != nil {
		return err
	}
	defer closeAll(chosen, daemon)
	return c.inOrder(ctx, chosen, func(ctx context.Context, f *follower, s subject, r api.StopRequest) error {
		return f.stop(ctx, daemon, s, r)
	})
}

// inOrder ends apps, those that depend on others before these: the daemon sees to that, if it is asked for the others at the same time.
func (c *changer) inOrder(ctx context.Context, chosen []subject, stop func(context.Context, *follower, subject, api.StopRequest) error) error {
	last := sorted(graphOf(chosen), chosen)
	slices.Reverse(last)
	r := api.StopRequest{Now: c.now, With: namesOf(chosen)}
	return atOnce(ctx, c.stderr, last, manyStops, func(ctx context.Context, s subject, _ func()) error {
		return stop(ctx, c.one(len(chosen) > 1), s, r)
	})
}

// stop ends one app, by the daemon if that keeps it: only then it knows that the end is wanted.
func (f *follower) stop(ctx context.Context, daemon *client.Client, s subject, r api.StopRequest) error {
	if s.client == nil {
		return f.stopIdle(ctx, daemon, s)
	}
	return f.run(ctx, s.target, func(ctx context.Context) (api.Operation, error) {
		if s.entry == nil {
			return s.client.Stop(ctx, r.Now)
		}
		answer, err := daemon.StopEntry(ctx, s.name, r)
		f.tellLeft(s.name, answer.Left)
		if err != nil || answer.Operation == nil {
			return api.Operation{Kind: api.OperationStop, State: api.OperationDone}, err
		}
		f.settled = func(ctx context.Context) error { _, err := daemon.AwaitIdle(ctx, s.name); return err }
		return *answer.Operation, nil
	})
}

// stopForRestart ends an app of the daemon without a word.
func (f *follower) stopForRestart(ctx context.Context, daemon *client.Client, s subject, r api.StopRequest) error {
	if s.entry == nil {
		return nil
	}
	quiet := *f
	quiet.json, quiet.quiet, quiet.noWait = false, true, false
	return quiet.stop(ctx, daemon, s, r)
}

// stopIdle is for an app without a master: it may be waiting for the next try to start one.
func (f *follower) stopIdle(ctx context.Context, daemon *client.Client, s subject) error {
	if _, err := daemon.StopEntry(ctx, s.name, api.StopRequest{}); err != nil {
		return err
	}
	if !f.quiet && !f.json {
		text := "stopped " + s.name
		if s.entry.State == api.EntryStopped {
			text = s.name + " does not run"
		}
		fmt.Fprintln(f.stdout, text)
	}
	return nil
}

func newDelete(stdout, stderr *os.File) *cobra.Command {
	c := newChanger(stdout, stderr)
	cmd := &cobra.Command{
		Use:     "delete NAME...|all",
		Aliases: []string{"del", "rm"},
		Short:   "End an app and forget it",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{cmd.CommandPath() + " takes the names of apps, or all", seeHelp(cmd)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.delete(cmd.Context(), args) },
	}
	cmd.Flags().BoolVar(&c.now, "now", false, "kill the workers without letting them finish")
	c.waitFlags(cmd.Flags())
	return cmd
}

func (c *changer) delete(ctx context.Context, args []string) error {
	chosen, daemon, err := choose(ctx, args)
	if err != nil {
		return err
	}
	defer closeAll(chosen, daemon)
	return c.inOrder(ctx, chosen, func(ctx context.Context, f *follower, s subject, r api.StopRequest) error {
		if s.entry == nil {
			return &failure{message: s.name + " was not begun by muster start: it is forgotten when it ends", hint: "to end it: muster stop " + s.name, code: exitFailed}
		}
		if s.client != nil {
			quiet := *f
			quiet.json, quiet.quiet = false, f.quiet || f.json
			if err := quiet.stop(ctx, daemon, s, r); err != nil {
				return err
			}
		} else if _, err := daemon.StopEntry(ctx, s.name, api.StopRequest{}); err != nil {
			return err
		}
		entry, err := daemon.Delete(ctx, s.name)
		switch {
		case err != nil:
			return err
		case f.json:
			return printJSON(f.stdout, entry)
		case !f.quiet:
			fmt.Fprintln(f.stdout, "deleted "+s.name)
		}
		return nil
	})
}
