package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// revealFlag is the wish to see secrets.
type revealFlag struct{ reveal bool }

func (r *revealFlag) flags(f *pflag.FlagSet) {
	f.BoolVar(&r.reveal, "reveal", false, "show secrets as they are; else "+maskedText)
}

const maskedText = "the values of passwords, tokens, keys and the like are masked"

// of is a client whose answers show what is wanted.
func (r *revealFlag) of(c *client.Client) *client.Client {
	if r.reveal {
		return c.Revealing()
	}
	return c
}

// app is an app that runs, with what is wanted: it was found without secrets.
func (r *revealFlag) app(ctx context.Context, t target) (api.App, error) {
	if !r.reveal {
		return t.app, nil
	}
	return t.client.Revealing().App(ctx)
}

type envCommand struct {
	revealFlag
	slot   int
	json   bool
	stdout *os.File
}

func newEnv(stdout *os.File) *cobra.Command {
	e := &envCommand{stdout: stdout}
	cmd := &cobra.Command{
		Use:   "env [NAME...|all]",
		Short: "Show the environment that a worker of an app has",
		Long: `Show the environment that a worker of an app was started with, a variable a line: of the worker in the first slot, or in --slot.

Secrets are masked: what is called password, secret, token, key, credential or the like, and passwords in URLs.`,
		RunE: func(cmd *cobra.Command, args []string) error { return e.run(cmd.Context(), args) },
	}
	cmd.Flags().IntVar(&e.slot, "slot", 0, "of the worker in slot `N`")
	cmd.Flags().BoolVar(&e.json, "json", false, "print the environments of all workers, as JSON")
	e.flags(cmd.Flags())
	return cmd
}

func (e *envCommand) run(ctx context.Context, args []string) error {
	chosen, daemon, err := choose(ctx, args)
	if err != nil {
		return err
	}
	defer closeAll(chosen, daemon)
	if e.json {
		return printEach(ctx, e.stdout, chosen, e.environments)
	}
	return separated(e.stdout, chosen, false, func(s subject) error {
		if len(chosen) > 1 {
			fmt.Fprintln(e.stdout, s.name)
		}
		return e.print(ctx, s)
	})
}

func (e *envCommand) environments(ctx context.Context, s subject) ([]api.WorkerEnv, error) {
	if !s.running() {
		return nil, s.notRunning()
	}
	return e.of(s.client).Env(ctx)
}

func (e *envCommand) print(ctx context.Context, s subject) error {
	all, err := e.environments(ctx, s)
	if err != nil {
		return err
	}
	for _, w := range slices.Backward(all) { // the newest of two in a slot
		if w.Slot == e.slot {
			_, err = io.WriteString(e.stdout, strings.Join(append(w.Env, ""), "\n"))
			return err
		}
	}
	return &failure{message: fmt.Sprintf("%s has no worker in slot %d", s.name, e.slot), hint: "see muster show " + s.name, code: exitNotFound}
}
