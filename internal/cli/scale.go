package cli

import (
	"context"
	"os"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/spf13/cobra"
)

func newScale(stdout, stderr *os.File) *cobra.Command {
	c := newChanger(stdout, stderr)
	cmd := &cobra.Command{
		Use:   "scale [NAME...|all] N | +N | -N | max | 50%",
		Short: "Change the number of workers",
		Long: `Change the number of workers: to N, by +N or -N, to one per CPU (max), or to a share of that (50%).

It is done when the new workers serve, or when the surplus ones have finished and gone. It fails when a new one fails many times in a row;
it is tried on.`,
		Example: `  muster scale api 8
  muster scale api +2
  muster scale api -1`,
		Args:                  scaleArguments,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			names, workers := args[:len(args)-1], args[len(args)-1]
			return c.changeAll(cmd.Context(), names, func(ctx context.Context, a *client.Client) (api.Operation, error) { return a.Scale(ctx, workers) })
		},
	}
	c.flags(cmd.Flags())
	return cmd
}

func scaleArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &usageError{cmd.CommandPath() + " takes the names of apps and a number of workers", "as in muster scale api 4, or muster scale api +1"}
	}
	return nil
}

// lessIsNoFlag puts -- before the last argument of scale if that is a negative number, which would be taken for flags.
func lessIsNoFlag(args []string) []string {
	last := len(args) - 1
	if last < 1 || args[0] != "scale" || len(args[last]) < 2 || args[last][0] != '-' || args[last][1] < '0' || args[last][1] > '9' {
		return args
	}
	return append(append([]string{}, args[:last]...), "--", args[last])
}
