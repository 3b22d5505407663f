package cli

import (
	"context"
	"os"
	"slices"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/spf13/cobra"
)

// changer is a command that asks one app for an operation.
type changer struct {
	follower
	now bool
}

func newChanger(stdout, stderr *os.File) *changer {
	return &changer{follower: follower{stdout: stdout, stderr: stderr}}
}

// changeAll follows the operation that every app is asked for which the arguments name, a few at a time.
func (c *changer) changeAll(ctx context.Context, args []string, ask func(context.Context, *client.Client) (api.Operation, error)) error {
	chosen, daemon, err := choose(ctx, args)
	if err != nil {
		return err
	}
	defer closeAll(chosen, daemon)
	if len(chosen) > 1 { // those that do not run have nothing to change
		chosen = slices.DeleteFunc(chosen, func(s subject) bool { return s.client == nil })
	}
	return atOnce(ctx, c.stderr, chosen, manyStarts, func(ctx context.Context, s subject, leave func()) error {
		if !s.running() {
			return s.notRunning()
		}
		f := c.one(len(chosen) > 1)
		f.booted = leave
		return f.run(ctx, s.target, func(ctx context.Context) (api.Operation, error) { return ask(ctx, s.client) })
	})
}

// one is a follower of one app, of several that are followed at the same time or not: then progress would be a jumble.
func (f follower) one(several bool) *follower {
	f.terse = several
	return &f
}

func closeAll(subjects []subject, daemon *client.Client) {
	for _, s := range subjects {
		s.close()
	}
	if daemon != nil {
		daemon.Close()
	}
}

func newReload(stdout, stderr *os.File) *cobra.Command {
	c := newChanger(stdout, stderr)
	cmd := &cobra.Command{
		Use:     "reload [NAME...|all]",
		Aliases: []string{"gracefulReload", "softReload"},
		Short:   "Replace the workers by new ones, without downtime",
		Long: `Replace the workers by new ones, without downtime.

The command, the environment files and the program are read again. One new worker has to serve, and to go on serving for
--reload-settle, before the others follow; each old worker stays until its successor serves. If a new one fails, the old ones
stay, and the command says why, with the worker's last lines, and exits with 1.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeAll(cmd.Context(), args, func(ctx context.Context, a *client.Client) (api.Operation, error) { return a.Reload(ctx) })
		},
	}
	c.flags(cmd.Flags())
	return cmd
}

func newRollback(stdout, stderr *os.File) *cobra.Command {
	c := newChanger(stdout, stderr)
	cmd := &cobra.Command{
		Use:   "rollback [NAME...|all]",
		Short: "Bring back what the last reload has replaced",
		Long: `Bring back what the last reload has replaced: the command and the environment as they were, in a new generation and without
downtime. While a reload is under way, it is ended and undone. Files of the program itself are as they now are.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeAll(cmd.Context(), args, func(ctx context.Context, a *client.Client) (api.Operation, error) { return a.Rollback(ctx) })
		},
	}
	c.flags(cmd.Flags())
	return cmd
}

func newUpgrade(stdout, stderr *os.File) *cobra.Command {
	c := newChanger(stdout, stderr)
	cmd := &cobra.Command{
		Use:   "upgrade [NAME...|all]",
		Short: "Let a master become the muster that is now installed",
		Long: `Let a master become the muster that is now installed, in place: the process stays the same, and so do the workers, the sockets
and every connection.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeAll(cmd.Context(), args, func(ctx context.Context, a *client.Client) (api.Operation, error) { return a.Upgrade(ctx) })
		},
	}
	c.flags(cmd.Flags())
	return cmd
}
