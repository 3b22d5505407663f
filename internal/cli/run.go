package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
	"github.com/musterd/muster/internal/cpus"
	"github.com/musterd/muster/internal/launch"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/master"
	"github.com/musterd/muster/internal/notify"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

type runCommand struct {
	spec app.Spec
	appFile
	output
}

func newRun(stdout, stderr *os.File) *cobra.Command {
	r := &runCommand{output: output{stdout: stdout, stderr: stderr}}
	cmd := &cobra.Command{
		Use:   "run [flags] FILE [ARGUMENT...] | -- PROGRAM [ARGUMENT...] | CONFIG",
		Short: "Run an app in the foreground",
		Long: `Run an app in the foreground: for containers, systemd units and development.

A FILE is run by its interpreter: node, python3, ruby, php or bash; a file that is executable runs itself.
Behind -- stands a command line. npm, yarn, pnpm and npx are looked through, at the script or program that they would run.
CONFIG is an app file, as muster.yaml, ecosystem.config.js or Procfile, with one app, or more of which --only names one.
What follows FILE or -- belongs to the program. In it, {fd}, {fd.NAME}, {port}, {port.NAME}, {slot} and {slot+N} stand for what a worker gets.

Signals: TERM, INT, QUIT stop the workers and then muster, a second one at once. HUP replaces the workers
one by one, without downtime. TTIN and TTOU make one worker more or less.`,
		Example: `  muster run server.js
  muster run -i 4 --env NODE_ENV=production server.js --verbose
  muster run -l :8000 -- gunicorn app:app
  muster run -l :8000 -- uvicorn --fd {fd} app:app
  muster run -- npm start
  muster run --only api muster.yaml`,
		DisableFlagsInUseLine: true,
		RunE:                  r.run,
	}
	specFlags(cmd.Flags(), &r.spec)
	r.appFile.flags(cmd.Flags())
	r.output.flags(cmd.Flags())
	pm2Flags(cmd.Flags(), &r.spec)
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (r *runCommand) run(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &usageError{"there is nothing to run", "muster run server.js, or muster run -- PROGRAM ARGUMENT..."}
	}
	isFileForm := cmd.ArgsLenAtDash() != 0
	if isFileForm && config.IsAppFile(args[0]) {
		return r.fromFile(cmd, args)
	}
	if r.environment != "" || len(r.only) > 0 {
		return &usageError{"--environment and --only are for app files, and " + args[0] + " is none", "name an app file, as muster.yaml"}
	}
	if on := r.spec.DependsOn.Names(); len(on) > 0 {
		return &usageError{"--depends-on " + on[0] + " is for muster start: muster run runs one app, and knows of no other", "drop it, or use muster start"}
	}
	r.spec.Command = args
	if isFileForm {
		noteFlagsBehind(r.stderr, args)
	}
	return r.foreground(r.spec, "", isFileForm)
}

// foreground is a master until it ends. Relative names count from dir, or, if that is empty, from here; isFileForm is for launch.Host.
func (o *output) foreground(spec app.Spec, dir string, isFileForm bool) (err error) {
	o.format = cmp.Or(string(spec.LogFormat), string(app.LogFormatText))
	if dir == "" {
		if dir, err = os.Getwd(); err != nil {
			return fmt.Errorf("find the working directory: %w", err)
		}
	}
	names, err := takeGiven()
	if err != nil {
		return err
	}
	var given map[string]int
	if !master.HasState(names) {
		if given, err = adoptGiven(&spec, names); err != nil {
			return err
		}
	}
	config, notes, err := resolve(master.Config{
		Spec: spec, Base: dir, FileForm: isFileForm, Version: release(), Reload: resolveAgain, Given: given,
		Stdout: o.stdout, Stderr: o.stderr, LogFormat: o.format, Color: o.color(),
	})
	if err != nil {
		return err
	}
	o.note(notes)
	code, err := begin(context.Background(), config, names)
	if err != nil || code == exitOK {
		return err
	}
	return exitError(code)
}

// begin runs a master, or goes on with the workers of one that was killed, where a manager has kept its descriptors: names are those.
func begin(ctx context.Context, config master.Config, names []string) (int, error) {
	if !master.HasState(names) {
		if len(config.Given) == 0 {
			closeGiven(names)
		}
		return master.Run(ctx, config)
	}
	return master.Resume(ctx, names, notify.FirstFD, config)
}

// closeGiven closes what nobody here has a use for.
func closeGiven(names []string) {
	for i, name := range names {
		if name != "" {
			_ = unix.Close(notify.FirstFD + i)
		}
	}
}

// revived completes a Config that has come through a snapshot.
func revived(c master.Config) master.Config {
	c.Reload, c.Version = resolveAgain, release()
	return c
}

// resolve completes a Config by what its spec means on this machine now, and returns what the user should know of it.
func resolve(c master.Config) (master.Config, []string, error) {
	env := c.HostEnv
	if env == nil {
		env = os.Environ()
	}
	p, err := launch.Resolve(c.Spec, launch.Host{Dir: c.Base, Env: env, CPUs: cpus.Available(), Allowed: cpus.Allowed(), IsFileForm: c.FileForm})
	if err != nil {
		return c, nil, err
	}
	c.App, c.Workers, c.CPUs, c.Handoff, c.Argv, c.Path, c.Dir, c.Kind = p.App, p.Workers, p.CPUs, p.Handoff, p.Argv, p.Path, p.Dir, p.Kind
	c.Env, c.Assign, c.Nonblock, c.Inspect = p.Env, p.Assign, p.Nonblock, p.Inspect
	c.Account, c.CPUSet, c.SockUID, c.SockGID = p.Account, p.CPUSet, p.SockUID, p.SockGID
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
