package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
	"github.com/musterd/muster/internal/daemon"
	"github.com/musterd/muster/internal/master"
	"github.com/musterd/muster/internal/rundir"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// newMaster is the command that the daemon starts a master by. It is for nobody else.
func newMaster(stdout, stderr *os.File) *cobra.Command {
	return &cobra.Command{
		Use:    daemon.MasterCommand + " NAME",
		Short:  "Be the master of an app, for the daemon",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   func(cmd *cobra.Command, _ []string) error { return runMaster(cmd.Context(), stdout, stderr) },
	}
}

func runMaster(ctx context.Context, stdout, stderr *os.File) error {
	number, err := strconv.Atoi(os.Getenv(daemon.LaunchVariable))
	if err != nil {
		return &usageError{"muster " + daemon.MasterCommand + " is for the daemon", "to run an app: muster start, or muster run in the foreground"}
	}
	finish := os.Getenv(daemon.FinishVariable) != ""
	_ = errors.Join(os.Unsetenv(daemon.LaunchVariable), os.Unsetenv(daemon.FinishVariable))
	unix.CloseOnExec(number)
	link := os.NewFile(uintptr(number), "daemon")
	defer func() { _ = link.Close() }()
	var l api.Launch
	if err := json.NewDecoder(link).Decode(&l); err != nil {
		return fmt.Errorf("read what to run: %w", err)
	}
	state, err := rundir.StateDir()
	if err != nil {
		return errors.Join(err, answerDaemon(link, daemon.Report{Error: apiserver.ErrorOf(err)}))
	}
	config, notes, err := resolve(master.Config{
		Spec: l.Spec, Base: l.Base, FileForm: l.FileForm, HostEnv: l.Env, Version: release(), Reload: resolveAgain,
		Stdout: stdout, Stderr: stderr, LogFormat: "text", LogDir: daemon.LogDir(state, l.Spec.Name), Quiet: true,
	})
	config.Notes, config.Finish = notes, finish
	if err != nil {
		return errors.Join(err, answerDaemon(link, daemon.Report{Error: apiserver.ErrorOf(err)}))
	}
	opened := false
	config.Opened = func(socket string) {
		opened = true
		_ = answerDaemon(link, daemon.Report{Socket: socket}) // a daemon that has gone finds this master by its folder
		_ = link.Close()
	}
	names, err := takeGiven()
	if err != nil {
		return errors.Join(err, answerDaemon(link, daemon.Report{Error: apiserver.ErrorOf(err)}))
	}
	code, err := begin(ctx, config, names)
	if err != nil && !opened {
		_ = answerDaemon(link, daemon.Report{Error: apiserver.ErrorOf(err)})
	}
	if err != nil || code == exitOK {
		return err
	}
	return exitError(code)
}

// answerDaemon answers the daemon.
func answerDaemon(link *os.File, r daemon.Report) error { return json.NewEncoder(link).Encode(r) }
