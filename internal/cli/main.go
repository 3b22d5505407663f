// Package cli is the command line of muster: one file per command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/musterd/muster/internal/config"
	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1 // it began and failed
	exitUsage       = 2 // what was written makes no sense; nothing was started
	exitUnreachable = 3 // a master is there, but it does not answer
	exitNotFound    = 4 // no such app, or no such operation
	exitTimedOut    = 5
)

// exitMeanings are the exit codes in words.
var exitMeanings = []struct {
	code  int
	means string
}{
	{exitOK, "done"},
	{exitFailed, "it began and failed, or it is not possible now; the reason is on stderr, with the last lines of the worker that made it fail"},
	{exitUsage, "what was written makes no sense, on the command line or in an app file; nothing was started"},
	{exitUnreachable, "there is a daemon or a master, and it does not answer; or there is none, and it was asked for by name"},
	{exitNotFound, "no such app, operation or app file"},
	{exitTimedOut, "--timeout has passed; what was begun goes on"},
}

// ExitsMarkdown is a table of the exit codes.
func ExitsMarkdown() string {
	var b strings.Builder
	b.WriteString("| code | means |\n|---|---|\n")
	for _, e := range exitMeanings {
		fmt.Fprintf(&b, "| %d | %s |\n", e.code, e.means)
	}
	return b.String()
}

// Main runs the command that os.Args names and returns the process's exit code.
func Main() int {
	if code, ok := resume(os.Stdout, os.Stderr); ok {
		return code
	}
	return execute(os.Args[1:], os.Stdout, os.Stderr)
}

func execute(args []string, stdout, stderr *os.File) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(lessIsNoFlag(args))
	cmd, err := root.ExecuteContextC(context.Background())
	return report(stderr, cmd, err)
}

// newRoot makes the command that has all the others.
func newRoot(stdout, stderr *os.File) *cobra.Command {
	root := &cobra.Command{
		Use:   "muster",
		Short: "Run your server as many processes. Lose no request.",
		Long: `Run your server as many processes. Lose no request.

muster opens the listening sockets of an app, starts workers for it, hands the sockets to them, and replaces a worker when it dies.`,
		Example: `  muster run server.js                       one worker per CPU; the program's own listen is shared
  muster run -i 4 -l :3000 -- gunicorn app:app
  muster reload                              new workers, without downtime
  muster demo                                something to look at`,
		Version:       version(),
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.Flags().SetInterspersed(false)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(newDemoWorker(), newVersion(), newMaster(stdout, stderr))
	addGroup(root, "Run an app:", newStart(stdout, stderr), newRun(stdout, stderr), newCheck(stdout, stderr), newImport(stdout, stderr), newDemo(stdout, stderr))
	addGroup(root, "See what runs:", newList(stdout, stderr), newShow(stdout), newExplain(stdout), newEnv(stdout), newEvents(stdout), newLogs(stdout),
		newPID(stdout, stderr), newID(stdout, stderr))
	addGroup(root, "Change what runs:", newReload(stdout, stderr), newRollback(stdout, stderr), newScale(stdout, stderr), newRestart(stdout, stderr),
		newStop(stdout, stderr), newDelete(stdout, stderr), newUpgrade(stdout, stderr), newWait(stdout, stderr),
		newSignal(stdout, stderr), newReset(stdout, stderr), newFlush(stdout), newReopenLogs(stdout, stderr))
	addGroup(root, "Keep it:", newSave(stdout), newResurrect(stdout, stderr), newStartup(stdout, stderr), newUnstartup(stdout), newDaemon(stdout, stderr))
	root.AddCommand(newDocs(stdout))
	addPM2Words(root, stdout, stderr)
	addCompletions(root)
	newCompletion(root)
	return root
}

// addGroup adds commands that stand together in the help.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, cmd := range commands {
		cmd.GroupID = title
		root.AddCommand(cmd)
	}
}

// exitError is the outcome of a command that has said everything there is to say.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// report prints what went wrong and returns the exit code.
func report(stderr io.Writer, cmd *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	if code, ok := errors.AsType[exitError](err); ok {
		return int(code)
	}
	if errs, ok := errors.AsType[config.Errors](err); ok {
		for _, e := range errs {
			complain(stderr, e.Error(), e.Hint)
			for _, line := range e.Detail {
				fmt.Fprintln(stderr, "  | "+line)
			}
		}
		return exitUsage
	}
	message, hint, code := explain(cmd, err)
	complain(stderr, message, hint)
	return code
}

// complain prints what is wrong, and what to do about it on a line of its own.
func complain(stderr io.Writer, message, hint string) {
	fmt.Fprintln(stderr, "muster: "+message)
	if hint != "" {
		fmt.Fprintln(stderr, "hint: "+hint)
	}
}
