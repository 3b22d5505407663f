package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

type flushCommand struct {
	logs   logsCommand
	stdout *os.File
}

func newFlush(stdout *os.File) *cobra.Command {
	f := &flushCommand{stdout: stdout}
	cmd := &cobra.Command{
		Use:   "flush [NAME...]",
		Short: "Empty the log files of apps",
		Long:  "Empty the log files of apps, of all if none is named, and remove what was put aside. Apps that run go on writing.",
		RunE:  func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVar(&f.logs.dir, "log-dir", "", "empty the log files in `DIR`, whosever they are")
	return cmd
}

func (f *flushCommand) run(ctx context.Context, args []string) error {
	sources, err := f.logs.sources(ctx, args)
	if err != nil {
		return err
	}
	for _, s := range sources {
		if s.Live != nil {
			fmt.Fprintf(f.stdout, "%s has no log files\n", s.App)
			continue
		}
		files, size, err := s.Empty()
		if err != nil {
			return fmt.Errorf("empty the logs of %s: %w", s.App, err)
		}
		fmt.Fprintf(f.stdout, "emptied the logs of %s: %s, %d bytes\n", s.App, count(files, "file"), size)
	}
	return nil
}
