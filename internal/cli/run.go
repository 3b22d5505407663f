package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/cpus"
	"github.com/musterd/muster/internal/launch"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/master"
	"github.com/spf13/cobra"
)

type runCommand struct {
	spec app.Spec
	output
}

func newRun(stdout, stderr *os.File) *cobra.Command {
	r := &runCommand{output: output{stdout: stdout, stderr: stderr}}
	cmd := &cobra.Command{
		Use:   "run [flags] FILE [ARGUMENT...] | -- PROGRAM [ARGUMENT...]",
		Short: "Run an app in the foreground",
		Long: `Run an app in the foreground: for containers, systemd units and development.

A FILE is run by its interpreter: node, python3, ruby, php or bash; a file that is executable runs itself.
Behind -- stands a command line. npm, yarn, pnpm and npx are looked through, at the script or program that they would run.
What follows FILE or -- belongs to the program. In it, {fd}, {fd.NAME}, {port}, {port.NAME} and {slot} stand for what a worker gets.

Signals: TERM, INT, QUIT stop the workers and then muster, a second one at once. HUP replaces the workers
one by one, without downtime. TTIN and TTOU make one worker more or less.`,
		Example: `  muster run server.js
  muster run -i 4 --env NODE_ENV=production server.js --verbose
  muster run -l :8000 -- gunicorn app:app
  muster run -l :8000 -- uvicorn --fd {fd} app:app
  muster run -- npm start`,
		DisableFlagsInUseLine: true,
		RunE:                  r.run,
	}
	specFlags(cmd.Flags(), &r.spec)
	r.flags(cmd.Flags())
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (r *runCommand) run(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &usageError{"there is nothing to run", "muster run server.js, or muster run -- PROGRAM ARGUMENT..."}
	}
	r.spec.Command = args
	return r.foreground(r.spec, cmd.ArgsLenAtDash() != 0)
}

// foreground is a master until it ends. isFileForm is for launch.Host.
func (o *output) foreground(spec app.Spec, isFileForm bool) error {
	if err := o.check(); err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	config, notes, err := resolve(master.Config{
		Spec: spec, Base: dir, FileForm: isFileForm, Version: release(), Reload: resolveAgain,
		Stdout: o.stdout, Stderr: o.stderr, LogFormat: o.format, Color: o.color(),
	})
	if err != nil {
		return err
	}
	o.note(notes)
	code, err := master.Run(context.Background(), config)
	if err != nil || code == exitOK {
		return err
	}
	return exitError(code)
}

// resolve completes a Config by what its spec means on this machine now, and returns what the user should know of it.
func resolve(c master.Config) (master.Config, []string, error) {
	p, err := launch.Resolve(c.Spec, launch.Host{Dir: c.Base, Env: os.Environ(), CPUs: cpus.Available(), IsFileForm: c.FileForm})
	if err != nil {
		return c, nil, err
	}
	c.App, c.Workers, c.CPUs, c.Handoff, c.Argv, c.Path, c.Dir, c.Kind = p.App, p.Workers, p.CPUs, p.Handoff, p.Argv, p.Path, p.Dir, p.Kind
	c.Env, c.Assign, c.Nonblock = p.Env, p.Assign, p.Nonblock
	return c, p.Notes, nil
}

// resolveAgain is master.Config.Reload.
func resolveAgain(c master.Config) (master.Config, error) {
	c, _, err := resolve(c)
	return c, err
}

// note tells the user in the master's log what it should know of the command.
func (o *output) note(notes []string) {
	options := logs.Options{Format: logs.Format(o.format), Color: logs.ColorNever}
	if o.color() {
		options.Color = logs.ColorAlways
	}
	log := slog.New(logs.NewHandler(o.stderr, options))
	for _, text := range notes {
		log.Warn(text)
	}
}
