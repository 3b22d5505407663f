package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/spf13/cobra"
)

func newSave(stdout *os.File) *cobra.Command {
	asJSON, clear := false, false
	cmd := &cobra.Command{
		Use:     "save",
		Aliases: []string{"dump"},
		Short:   "Write down which apps run, for resurrect",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if clear {
				return clearSaved(cmd.Context(), stdout, asJSON)
			}
			return withDaemon(cmd.Context(), func(ctx context.Context, daemon *client.Client) error {
				answer, err := daemon.Save(ctx)
				switch {
				case err != nil:
					return err
				case asJSON:
					return printJSON(stdout, answer)
				}
				_, err = fmt.Fprintf(stdout, "saved %s in %s%s\n", count(len(answer.Names), "app"), answer.File, named(": ", answer.Names))
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was saved, as JSON")
	cmd.Flags().BoolVar(&clear, "clear", false, "forget what was saved; what runs goes on")
	return cmd
}

func clearSaved(ctx context.Context, stdout *os.File, asJSON bool) error {
	return withDaemon(ctx, func(ctx context.Context, daemon *client.Client) error {
		answer, err := daemon.ClearSaved(ctx)
		switch {
		case err != nil:
			return err
		case asJSON:
			return printJSON(stdout, answer)
		}
		_, err = fmt.Fprintf(stdout, "forgot %s that had been saved in %s%s\n", count(len(answer.Names), "app"), answer.File, named(": ", answer.Names))
		return err
	})
}

func newResurrect(stdout, stderr *os.File) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "resurrect",
		Short: "Start the apps that were saved",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDaemon(cmd.Context(), func(ctx context.Context, daemon *client.Client) error {
				answer, err := daemon.Resurrect(ctx)
				switch {
				case err != nil:
					return err
				case asJSON:
					err = printJSON(stdout, answer)
				default:
					_, err = fmt.Fprintf(stdout, "started %s%s%s\n", count(len(answer.Names), "app"), named(": ", answer.Names), named("; these run already: ", answer.Skipped))
				}
				return tellFailed(stderr, answer, err)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was started, as JSON")
	return cmd
}

func tellFailed(stderr *os.File, answer api.SaveAnswer, err error) error {
	for _, why := range answer.Failed {
		fmt.Fprintln(stderr, "muster: "+why)
	}
	if err == nil && len(answer.Failed) > 0 {
		return &failure{
			message: count(len(answer.Failed), "app") + " could not be started", hint: "they are tried again; see muster list", code: exitFailed,
		}
	}
	return err
}

func named(before string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return before + strings.Join(names, ", ")
}

// withDaemon does something with the daemon, which is started if none runs.
func withDaemon(ctx context.Context, do func(context.Context, *client.Client) error) error {
	daemon, err := aDaemon(ctx)
	if err != nil {
		return err
	}
	defer daemon.Close()
	return do(ctx, daemon)
}
