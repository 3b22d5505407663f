package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/daemon"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/rundir"
	"github.com/spf13/cobra"
)

type daemonCommand struct {
	resurrect bool
	leave     bool
	spec      app.Spec // of its own log alone
	output
}

func newDaemon(stdout, stderr *os.File) *cobra.Command {
	d := &daemonCommand{output: output{stdout: stdout, stderr: stderr}}
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Be the daemon that keeps apps, in the foreground",
		Long: `Be the daemon that keeps apps, in the foreground: for a unit of systemd, or a container with several apps.

Nobody else has to: muster start starts a daemon in the background if there is none. There is one per user and MUSTER_HOME.

Signals: TERM, INT and QUIT stop all apps and then the daemon, a second one at once. USR2 ends the daemon alone: the apps go on, as they
do if it is killed, and the next daemon finds them.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&d.resurrect, "resurrect", false, "start what muster save has saved")
	formatFlag(cmd.Flags(), &d.spec)
	d.flags(cmd.Flags())
	stop := &cobra.Command{
		Use:   "stop",
		Short: "Stop all apps, and the daemon",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return d.stop(cmd.Context()) },
	}
	stop.Flags().BoolVar(&d.leave, "leave-apps", false, "the apps go on; the next command that needs a daemon starts one, which finds them")
	status := &cobra.Command{
		Use:   "status",
		Short: "Tell whether the daemon runs",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return d.status(cmd.Context()) },
	}
	upgrade := &cobra.Command{
		Use:   "upgrade",
		Short: "Let the daemon become the muster that is now installed",
		Long: `Let the daemon become the muster that is now installed, in place: the process stays the same, and commands that come meanwhile wait.
Masters and workers are not touched; for the masters there is muster upgrade.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.upgrade(cmd.Context()) },
	}
	cmd.AddCommand(stop, status, upgrade)
	return cmd
}

// daemonReady is the variable with the number of a pipe that is written to when the daemon answers, or to say why it never will.
const daemonReady = "MUSTER_DAEMON_READY"

func (d *daemonCommand) run(ctx context.Context) error {
	format := cmp.Or(d.spec.LogFormat, app.LogFormatText)
	if err := format.Check(); err != nil {
		return err
	}
	d.format = string(format)
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the binary: %w", err)
	}
	options := logs.Options{Format: logs.Format(d.format), Color: logs.ColorNever}
	if d.color() {
		options.Color = logs.ColorAlways
	}
	return daemon.Run(ctx, daemon.Config{
		Version: release(), Binary: binary, Log: slog.New(logs.NewHandler(d.stderr, options)), Resurrect: d.resurrect, Ready: tellStarter,
	})
}

// tellStarter tells who has started this daemon in the background that it answers.
func tellStarter() {
	if os.Getenv(daemonReady) == "" {
		return
	}
	_ = os.Unsetenv(daemonReady)
	_, _ = os.Stdout.WriteString("ready\n") // a pipe; who has gone misses nothing
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		_ = dupOver(null, os.Stdout)
		_ = null.Close()
	}
}

func dupOver(from, to *os.File) error {
	source, err := from.SyscallConn()
	if err != nil {
		return err
	}
	target, err := to.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = source.Control(func(s uintptr) {
		failed = target.Control(func(t uintptr) { failed = dup2(int(s), int(t)) })
	})
	return errors.Join(err, failed)
}

func (d *daemonCommand) stop(ctx context.Context) error {
	c, err := d.daemonToStop(ctx)
	if err != nil {
		return err
	}
	if c == nil {
		fmt.Fprintln(d.stdout, "no daemon runs")
		return nil
	}
	defer c.Close()
	process := watchProcess(c.Socket())
	defer process.close()
	who, err := c.StopDaemon(ctx, d.leave)
	if err != nil {
		return err
	}
	if err := process.gone(ctx); err != nil {
		return err
	}
	text := fmt.Sprintf("the daemon has ended, and with it %s", count(who.Apps, "app"))
	if d.leave {
		text = fmt.Sprintf("the daemon has ended, and has left %s", count(who.Apps, "app"))
	}
	fmt.Fprintln(d.stdout, text)
	return nil
}

// daemonToStop is the daemon, or nil if none runs. One that was killed, and whose apps are to be stopped, is started again for that.
func (d *daemonCommand) daemonToStop(ctx context.Context) (*client.Client, error) {
	c, err := runningDaemon(ctx)
	if c != nil || err != nil || d.leave {
		return c, err
	}
	dir, err := rundir.FindStateDir()
	if err != nil || !daemon.LeftApps(dir) {
		return nil, nil
	}
	return aDaemon(ctx)
}

func (d *daemonCommand) status(ctx context.Context) error {
	c, err := theRunningDaemon(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	who, err := c.Daemon(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.stdout, "process %d since %s, %s, keeps %s, state in %s\n", who.PID, ago(who.Started), who.Version, count(who.Apps, "app"), who.State)
	return nil
}

func (d *daemonCommand) upgrade(ctx context.Context) error {
	c, err := theRunningDaemon(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, daemonTime)
	defer cancel()
	before, err := c.Daemon(ctx)
	if err != nil {
		return err
	}
	now, err := c.UpgradeDaemon(ctx)
	if err != nil {
		return err
	}
	if now.PID != before.PID || now.Upgrades == before.Upgrades {
		return &failure{message: "the daemon has not become another program", hint: "see " + daemonLog(), code: exitFailed}
	}
	fmt.Fprintf(d.stdout, "the daemon, process %d, was %s and is %s; it keeps %s\n", now.PID, before.Version, now.Version, count(now.Apps, "app"))
	return nil
}

// theRunningDaemon returns a client of the daemon. It is an error that none runs.
func theRunningDaemon(ctx context.Context) (*client.Client, error) {
	c, err := runningDaemon(ctx)
	if c == nil && err == nil {
		err = &failure{message: "no daemon runs", hint: "muster start starts one", code: exitUnreachable}
	}
	return c, err
}

// runningDaemon returns a client of the daemon, or nil where none runs.
func runningDaemon(ctx context.Context) (*client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for _, info := range rundir.Daemons() {
		c := client.New(info.Socket)
		_, err := c.Daemon(ctx)
		if err == nil {
			return c, nil
		}
		c.Close()
		if !isDead(err) {
			return nil, unanswered(info, err)
		}
	}
	return nil, nil
}

// aDaemon returns a client of the daemon, and starts it if none runs.
func aDaemon(ctx context.Context) (*client.Client, error) {
	if c, err := runningDaemon(ctx); c != nil || err != nil {
		return c, err
	}
	limited, cancel := context.WithTimeout(ctx, daemonTime)
	defer cancel()
	release, err := rundir.LockStart(limited)
	if err != nil {
		return nil, err
	}
	defer release()
	if c, err := runningDaemon(ctx); c != nil || err != nil { // somebody else was faster
		return c, err
	}
	if err := startDaemon(limited); err != nil {
		return nil, err
	}
	c, err := runningDaemon(ctx)
	if err == nil && c == nil {
		err = &failure{message: "the daemon has ended right after its start", hint: "see " + daemonLog(), code: exitUnreachable}
	}
	return c, err
}

// daemonTime bounds the start of a daemon. It may have many masters to find.
const daemonTime = time.Minute

// daemonLog is the file for what a daemon in the background has to say.
func daemonLog() string {
	dir, err := rundir.StateDir()
	if err != nil {
		return "its log"
	}
	return filepath.Join(dir, "daemon.log")
}

// startDaemon starts a daemon in a session of its own, and returns when it answers, or has said why it cannot.
func startDaemon(ctx context.Context) error {
	dir, err := rundir.StateDir()
	if err != nil {
		return err
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the binary: %w", err)
	}
	log, err := os.OpenFile(daemonLog(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	mark, err := log.Seek(0, 2)
	if err != nil {
		return err
	}
	cmd := exec.Command(binary, "daemon")
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), daemonReady+"=1"), log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	ready, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = ready.Close() })()
	word := make([]byte, len("ready\n"))
	if n, _ := ready.Read(word); n > 0 {
		return nil
	}
	if ctx.Err() != nil {
		return &failure{message: "the daemon does not answer", hint: "see " + daemonLog(), code: exitUnreachable}
	}
	_ = cmd.Wait()
	return noDaemon(mark)
}

// noDaemon is what the daemon wrote before its end.
func noDaemon(mark int64) error {
	e := &failure{message: "the daemon could not start", hint: "see " + daemonLog(), code: exitUnreachable}
	text, err := os.ReadFile(daemonLog())
	if err != nil || int64(len(text)) < mark {
		return e
	}
	for line := range strings.Lines(string(text[mark:])) {
		line = strings.TrimSuffix(line, "\n")
		if why, ok := strings.CutPrefix(line, "muster: "); ok {
			e.message += ": " + why
		}
		if hint, ok := strings.CutPrefix(line, "hint: "); ok {
			e.hint = hint
		}
	}
	return e
}
