package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/musterd/muster/api"
	"github.com/spf13/cobra"
)

// someNames wants the names of apps, or all.
func someNames(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &usageError{cmd.CommandPath() + " takes the names of apps, or all", seeHelp(cmd)}
	}
	return nil
}

// forEach does something for each app that the arguments name, one after the other, and reports what went wrong with each.
func forEach(ctx context.Context, stderr *os.File, args []string, do func(context.Context, subject) error) error {
	chosen, daemon, err := choose(ctx, args)
	if err != nil {
		return err
	}
	defer closeAll(chosen, daemon)
	return atOnce(ctx, stderr, chosen, 1, func(ctx context.Context, s subject, _ func()) error { return do(ctx, s) })
}

func newSignal(stdout, stderr *os.File) *cobra.Command {
	var asJSON bool
	slot := -1
	cmd := &cobra.Command{
		Use:     "signal SIGNAL NAME...|all",
		Aliases: []string{"sendSignal"},
		Short:   "Send a signal to the workers of an app",
		Long: `Send a signal to the process of each worker of an app: HUP, USR2, or any other by name or number.

A worker that ends by it is replaced as any other that ends. To end an app, use muster stop; to replace its workers, muster reload.`,
		Example: `  muster signal USR2 api
  muster signal HUP api --slot 0`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return &usageError{cmd.CommandPath() + " takes a signal and the names of apps, or all", "as in muster signal USR2 api"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			request := api.SignalRequest{Signal: args[0]}
			if slot >= 0 {
				request.Slot = &slot
			}
			return forEach(cmd.Context(), stderr, args[1:], func(ctx context.Context, s subject) error { return sendSignal(ctx, stdout, s, request, asJSON) })
		},
	}
	cmd.Flags().IntVar(&slot, "slot", -1, "to the worker in slot `N` alone (default: to all)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print whom it was sent to, as JSON")
	return cmd
}

func sendSignal(ctx context.Context, stdout *os.File, s subject, r api.SignalRequest, asJSON bool) error {
	if !s.running() {
		return s.notRunning()
	}
	answer, err := s.client.Signal(ctx, r)
	switch {
	case err != nil:
		return err
	case len(answer.Workers) == 0:
		return &failure{message: s.name + " has no worker to send a signal to", hint: "see muster show " + s.name, code: exitNotFound}
	case asJSON:
		return printJSON(stdout, answer)
	}
	_, err = fmt.Fprintf(stdout, "sent %s to %s of %s\n", answer.Signal, count(len(answer.Workers), "worker"), s.name)
	return err
}

func newReset(stdout, stderr *os.File) *cobra.Command {
	return &cobra.Command{
		Use:   "reset NAME...|all",
		Short: "Make the counters of an app start at zero",
		Long: `Make what is counted of an app start at zero: respawns, rescued connections, masters that were lost.

What decides when a worker is started again, as failures in a row, stays as it is. A reload tries slots again that were given up.`,
		Args: someNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return forEach(cmd.Context(), stderr, args, func(ctx context.Context, s subject) error { return resetCounters(ctx, stdout, s) })
		},
	}
}

func resetCounters(ctx context.Context, stdout *os.File, s subject) error {
	if !s.running() && s.entry == nil {
		return s.notRunning()
	}
	if s.running() {
		if _, err := s.client.Reset(ctx); err != nil {
			return err
		}
	}
	if s.entry != nil {
		daemon, err := aDaemon(ctx)
		if err != nil {
			return err
		}
		defer daemon.Close()
		if _, err := daemon.ResetEntry(ctx, s.name); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(stdout, "reset the counters of "+s.name)
	return err
}

func newReopenLogs(stdout, stderr *os.File) *cobra.Command {
	return &cobra.Command{
		Use:     "reopen-logs [NAME...|all]",
		Aliases: []string{"reloadLogs"},
		Short:   "Open the log files of apps again, after somebody has moved them away",
		Long: `Open the log files of apps again, of all if none is named: for logrotate and the like, after they have moved the files away. muster rotates by
itself, unless --log-rotate=false.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{everyApp}
			}
			return forEach(cmd.Context(), stderr, args, func(ctx context.Context, s subject) error { return reopenLogs(ctx, stdout, s) })
		},
	}
}

func reopenLogs(ctx context.Context, stdout *os.File, s subject) error {
	if !s.running() {
		_, err := fmt.Fprintln(stdout, s.name+" does not run")
		return err
	}
	answer, err := s.client.Reopen(ctx)
	switch {
	case err != nil:
		return err
	case len(answer.Files) == 0:
		_, err = fmt.Fprintln(stdout, s.name+" has no log files")
	default:
		_, err = fmt.Fprintf(stdout, "%s opens its log files again: %s\n", s.name, strings.Join(answer.Files, ", "))
	}
	return err
}

func newPID(stdout, stderr *os.File) *cobra.Command {
	master := false
	cmd := &cobra.Command{
		Use:   "pid [NAME...|all]",
		Short: "Print the process ids of workers",
		Long:  "Print the process ids of the workers of apps, of all if none is named, one a line. An app that does not run has none.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{everyApp}
			}
			return forEach(cmd.Context(), stderr, args, func(_ context.Context, s subject) error {
				if master {
					return printMaster(stdout, s)
				}
				return (&showCommand{stdout: stdout}).printPIDs(s.app)
			})
		},
	}
	cmd.Flags().BoolVar(&master, "master", false, "print that of the master instead")
	return cmd
}

func printMaster(stdout *os.File, s subject) error {
	pid := listed(s).PID
	if pid == 0 {
		return nil
	}
	_, err := fmt.Fprintln(stdout, pid)
	return err
}

func newID(stdout, stderr *os.File) *cobra.Command {
	return &cobra.Command{
		Use:   "id NAME...|all",
		Short: "Print the numbers by which commands know apps",
		Args:  someNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return forEach(cmd.Context(), stderr, args, func(_ context.Context, s subject) error {
				if s.entry == nil {
					return &failure{message: s.name + " has no number: it was begun by muster run", hint: "use its name", code: exitFailed}
				}
				_, err := fmt.Fprintln(stdout, strconv.Itoa(s.entry.ID))
				return err
			})
		},
	}
}
