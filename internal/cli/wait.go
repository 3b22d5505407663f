package cli

import (
	"context"
	"os"

	"github.com/musterd/muster/api"
	"github.com/spf13/cobra"
)

func newWait(stdout, stderr *os.File) *cobra.Command {
	f := &follower{stdout: stdout, stderr: stderr}
	cmd := &cobra.Command{
		Use:   "wait [NAME] OPERATION",
		Short: "Wait for the end of an operation that was begun with --no-wait",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return &usageError{cmd.CommandPath() + " takes the name of an app and the number of an operation", seeHelp(cmd)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := oneApp(cmd.Context(), args[:len(args)-1])
			if err != nil {
				return err
			}
			defer t.client.Close()
			return f.run(cmd.Context(), t, func(ctx context.Context) (api.Operation, error) {
				return t.client.Operation(ctx, args[len(args)-1], 0)
			})
		},
	}
	f.waitFlags(cmd.Flags())
	return cmd
}
