package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
	"github.com/musterd/muster/internal/cpus"
	"github.com/musterd/muster/internal/launch"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type startCommand struct {
	spec        app.Spec
	updateEnv   bool
	environment string
	only        []string
	follower
}

func newStart(stdout, stderr *os.File) *cobra.Command {
	s := &startCommand{follower: follower{stdout: stdout, stderr: stderr}}
	cmd := &cobra.Command{
		Use:   "start [flags] FILE [ARGUMENT...] | -- PROGRAM [ARGUMENT...] | APPFILE | NAME...|all",
		Short: "Start an app in the background, and keep it running",
		Long: `Start an app in the background, and keep it running.

The command returns when every worker serves, or says why none does. It may be given again: an app that runs as it says is left
alone, one that runs otherwise is reloaded without downtime. With the NAME of an app that was stopped it starts that again.

With an APPFILE, as muster.yaml, ecosystem.config.js or Procfile, or without any argument with that of the current directory, it starts
the apps of the file in the same way, each as soon as what it depends on has come far enough.

A FILE is run by its interpreter, as by muster run. muster list shows what there is; muster stop NAME ends an app.`,
		Example: `  muster start server.js
  muster start -i 4 --name api server.js --verbose
  muster start -l :8000 -- gunicorn app:app
  muster start muster.yaml --environment production
  muster start api`,
		DisableFlagsInUseLine: true,
		RunE:                  s.run,
	}
	specFlags(cmd.Flags(), &s.spec)
	cmd.Flags().BoolVar(&s.updateEnv, "update-env", false, "reload the app also if nothing but this shell's environment is different")
	cmd.Flags().StringVarP(&s.environment, "environment", "e", "", "of an app file: the one of its apps' `ENVIRONMENT`s that counts")
	cmd.Flags().StringSliceVar(&s.only, "only", nil, "of an app file: `NAMES` of the apps that are wanted (default: all)")
	cmd.Flags().Var(&againValue{&s.again}, "again", "what to do with an app that runs as it says: reload or restart (default: nothing)")
	cmd.Flags().BoolVar(&s.noWait, "no-wait", false, "leave when the sockets are open, without waiting for the workers")
	s.waitFlags(cmd.Flags())
	pm2Flags(cmd.Flags(), &s.spec)
	cmd.Flags().Lookup("env").Value = &envOrEnvironment{envValue{&s.spec.Env}, &s.environment}
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (s *startCommand) run(cmd *cobra.Command, args []string) error {
	isFileForm := cmd.ArgsLenAtDash() != 0
	if isFileForm && (len(args) == 0 || config.IsAppFile(args[0])) {
		return s.startFile(cmd, args)
	}
	if s.environment != "" || len(s.only) > 0 {
		return &usageError{"--environment and --only are for app files, and there is none", "name one, as muster.yaml; a variable is written --env NAME=value"}
	}
	if isFileForm && !s.isSpec(cmd.Flags()) {
		started, err := s.startNamed(cmd, args)
		if started || err != nil {
			return err
		}
	}
	ctx, cancel := s.limited(cmd.Context())
	defer cancel()
	l, err := s.launchOf(args, isFileForm)
	if err != nil {
		return err
	}
	daemon, err := aDaemon(ctx)
	if err != nil {
		return err
	}
	defer daemon.Close()
	return s.startOne(ctx, daemon, l)
}

// startNamed starts the apps that the arguments name, if they do. Flags may follow the names.
func (s *startCommand) startNamed(cmd *cobra.Command, args []string) (started bool, err error) {
	names := args
	if i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "-") }); i > 0 {
		names = args[:i]
	}
	chosen, daemon, err := s.known(cmd.Context(), names)
	if chosen == nil || err != nil {
		return false, err
	}
	defer closeAll(chosen, daemon)
	if rest, err := parseRest(cmd, args[len(names):]); err != nil || len(rest) > 0 {
		return true, errors.Join(err, restError(rest))
	}
	ctx, cancel := s.limited(cmd.Context())
	defer cancel()
	return true, s.startKnown(ctx, daemon, chosen)
}

// parseRest parses flags behind the arguments, and returns what is none.
func parseRest(cmd *cobra.Command, args []string) ([]string, error) {
	cmd.Flags().SetInterspersed(true)
	if err := cmd.Flags().Parse(args); err != nil {
		return nil, flagError(cmd, err)
	}
	return cmd.Flags().Args(), nil
}

func restError(rest []string) error {
	if len(rest) == 0 {
		return nil
	}
	return &usageError{"nothing is to be done with " + strings.Join(rest, " "), "write names first, and then flags"}
}

// limited is ctx with the timeout.
func (f *follower) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if f.timeout > 0 {
		return context.WithTimeout(ctx, f.timeout.Duration())
	}
	return ctx, func() {}
}

// isSpec tells whether a flag says something of an app: then the arguments are a command.
func (s *startCommand) isSpec(flags *pflag.FlagSet) bool {
	own := []string{"no-wait", "timeout", "json", "quiet", "update-env", "environment", "only", "again"}
	is := false
	flags.Visit(func(f *pflag.Flag) {
		names := f.Name == "env" && len(s.spec.Env) == 0 // an environment of an app file, as PM2 writes it
		is = is || !names && !slices.Contains(own, f.Name)
	})
	return is
}

// known returns the daemon's apps that the arguments name; none if one of them is a file, or names nothing.
func (s *startCommand) known(ctx context.Context, args []string) ([]subject, *client.Client, error) {
	for _, arg := range args {
		if _, err := os.Stat(arg); err == nil {
			return nil, nil, nil
		}
	}
	chosen, daemon, err := choose(ctx, args)
	if _, isUnknown := errors.AsType[*failure](err); isUnknown && args[0] != everyApp {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return chosen, daemon, nil
}

func (s *startCommand) startKnown(ctx context.Context, daemon *client.Client, chosen []subject) error {
	graph := graphOf(chosen)
	turns := newTurns(graph)
	return atOnce(ctx, s.stderr, sorted(graph, chosen), manyStarts, func(ctx context.Context, known subject, leave func()) error {
		f := s.one(len(chosen) > 1)
		f.booted = leave
		answer, err := turns.ask(ctx, known.name, func() (api.StartAnswer, error) {
			if known.entry == nil {
				return api.StartAnswer{}, f.say(known.name + " runs already, by muster run")
			}
			return daemon.StartEntry(ctx, known.name)
		})
		if err != nil || known.entry == nil {
			return err
		}
		return f.started(ctx, daemon, answer)
	})
}

// manyStarts is how many apps are started at the same time.
var manyStarts = 2 * runtime.NumCPU()

// launchOf is what the flags and arguments say.
func (s *startCommand) launchOf(args []string, isFileForm bool) (api.Launch, error) {
	dir, err := os.Getwd()
	if err != nil {
		return api.Launch{}, fmt.Errorf("find the working directory: %w", err)
	}
	s.spec.Command = args
	if isFileForm {
		noteFlagsBehind(s.stderr, args)
	}
	l := api.Launch{Spec: s.spec, Base: dir, FileForm: isFileForm, Env: os.Environ()}
	return s.resolved(l)
}

// resolved completes the name of what is to be launched. What cannot run on this machine is an error before anything is asked of the daemon.
func (s *startCommand) resolved(l api.Launch) (api.Launch, error) {
	plan, err := launch.Resolve(l.Spec, launch.Host{Dir: l.Base, Env: l.Env, CPUs: cpus.Available(), Allowed: cpus.Allowed(), IsFileForm: l.FileForm})
	if err != nil {
		return api.Launch{}, err
	}
	for _, note := range plan.Notes {
		fmt.Fprintln(s.stderr, "muster: "+note)
	}
	l.Spec.Name = plan.App.Name
	return l, nil
}

func (s *startCommand) startOne(ctx context.Context, daemon *client.Client, l api.Launch) error {
	answer, err := daemon.Start(ctx, api.StartRequest{Launch: l, UpdateEnv: s.updateEnv})
	if err != nil {
		return s.timedOut(l.Spec.Name, err)
	}
	return s.started(ctx, daemon, answer)
}

func (f *follower) timedOut(name string, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &failure{message: fmt.Sprintf("timed out after %v: the start of %s goes on", f.timeout, name), hint: "see muster show " + name, code: exitTimedOut}
}

// say prints a line, unless it is not wanted.
func (f *follower) say(text string) error {
	if f.quiet || f.json {
		return nil
	}
	_, err := fmt.Fprintln(f.stdout, text)
	return err
}

// started follows what a start has begun, to its end.
func (f *follower) started(ctx context.Context, daemon *client.Client, answer api.StartAnswer) error {
	name := answer.Entry.Name
	if why := answer.Entry.Unwritten; why != "" {
		fmt.Fprintf(f.stderr, "muster: warning: %s is not written down, and the next daemon would not know it: %s\nhint: it is tried again\n", name, why)
	}
	if answer.Outcome == api.StartedHeld {
		begun, err := f.begun(ctx, daemon, answer)
		if err != nil || begun.Entry.Socket == "" {
			return f.timedOut(name, err)
		}
		answer = begun
	}
	t := target{client: client.New(answer.Entry.Socket)}
	t.app.Name = name
	defer t.client.Close()
	if answer.Outcome == api.StartedReload {
		if err := f.say(name + " runs otherwise: reloading it, for " + strings.Join(answer.Changed, ", ")); err != nil {
			return err
		}
		return f.run(ctx, t, func(context.Context) (api.Operation, error) { return *answer.Operation, nil })
	}
	if again := f.again; again != "" && answer.Outcome == api.StartedUnchanged {
		f.again = ""
		return f.onceMore(ctx, daemon, t, again)
	}
	if f.noWait {
		return f.tellStarted(name, answer, nil)
	}
	a, err := f.untilServing(ctx, t)
	if err == nil {
		f.leave()
		err = f.proved(ctx, t, a)
	}
	if err != nil {
		return f.timedOut(name, f.whyNot(ctx, daemon, name, err))
	}
	return f.tellStarted(name, answer, &a)
}

// onceMore reloads or restarts what runs as it should: its program may be another one than it was.
func (f *follower) onceMore(ctx context.Context, daemon *client.Client, t target, again string) error {
	if again == againReload {
		return f.run(ctx, t, t.client.Reload)
	}
	answer, err := daemon.Restart(ctx, t.app.Name, api.RestartRequest{})
	if err != nil {
		return f.timedOut(t.app.Name, err)
	}
	return f.started(ctx, daemon, answer)
}

// tellStarted tells that the app runs; a is nil where that was not waited for.
func (f *follower) tellStarted(name string, answer api.StartAnswer, a *api.App) error {
	if f.json {
		answer.Entry.App = a
		return printJSON(f.stdout, answer)
	}
	text := "started " + name
	if answer.Outcome == api.StartedUnchanged {
		text = name + " runs already, as it should"
	}
	switch {
	case answer.Entry.State == api.EntryHeld:
		text = name + ": " + answer.Entry.Why
	case a == nil:
	case a.Spec.Job:
		text += ": " + string(a.State)
	default:
		text += fmt.Sprintf(": %s on %s", count(a.Serving, "worker"), addresses(*a))
	}
	return f.say(text)
}

// failing is an app whose workers fail.
type failing struct {
	why    string
	stderr []string
	worker uint64
}

func (e *failing) Error() string { return e.why }

// untilServing follows the app's events until every slot is served, or until it fails so often that waiting would be in vain.
func (f *follower) untilServing(ctx context.Context, t target) (api.App, error) {
	s := &stream{client: t.client}
	defer s.close()
	f.status = f.newStatus("waiting for the workers of " + t.app.Name)
	defer func() { f.status.end(); f.status = nil }()
	var last failing
	for {
		event, err := s.next(ctx)
		if err != nil {
			if ended(err) && last.why != "" {
				return api.App{}, &last
			}
			return api.App{}, err
		}
		f.progress(event)
		switch event.Kind {
		case api.EventSnapshot:
			if isUp(event.App) {
				return *event.App, nil
			}
		case api.EventServing, api.EventRunBegan, api.EventCompleted:
			a, err := t.client.App(ctx)
			a.Revision = event.Revision // what has happened since is still to be looked at
			return a, err
		case api.EventFailed:
			last = failing{why: event.Why, stderr: event.Stderr, worker: event.Worker}
		case api.EventNotReady:
			last = failing{why: "not ready within " + short(event.After.Duration()) + colon(event.Why), worker: event.Worker}
		case api.EventNotStarted:
			last = failing{why: event.Why}
		case api.EventCrashLooping, api.EventBackingOff, api.EventGaveUp, api.EventAppGaveUp:
			return api.App{}, &last
		default:
		}
	}
}

// proved waits until a program that gives no sign of being ready has run for as long as it must not to have failed.
func (f *follower) proved(ctx context.Context, t target, a api.App) error {
	if a.Spec.Job || a.Handoff != string(app.HandoffNone) || a.Spec.Ready != string(app.ReadyAuto) && a.Spec.Ready != string(app.ReadyStart) {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, youngest(a).Add(a.Spec.MinUptime.Duration()))
	defer cancel()
	events, err := t.client.EventsSince(ctx, a.Revision)
	if err != nil {
		return lastingError(ctx, err)
	}
	defer events.Close()
	for {
		event, err := events.Next()
		if err != nil {
			return lastingError(ctx, err)
		}
		f.progress(event)
		if event.Kind == api.EventFailed {
			return &failing{why: event.Why, stderr: event.Stderr, worker: event.Worker}
		}
	}
}

// lastingError is err, unless the time is up: then nothing has failed.
func lastingError(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil
	}
	return err
}

// youngest is when the last worker was ready; now, if one that was is gone already.
func youngest(a api.App) time.Time {
	if a.Serving < a.Workers {
		return time.Now()
	}
	var last time.Time
	for _, w := range workersOf(a) {
		if w.ReadyAt.After(last) {
			last = w.ReadyAt
		}
	}
	return last
}

// isUp tells whether the app is as it shall be.
func isUp(a *api.App) bool {
	return a.State == api.AppServing || a.Spec.Job && a.State != api.AppStarting
}

// whyNot is why an app does not serve.
func (f *follower) whyNot(ctx context.Context, daemon *client.Client, name string, err error) error {
	if e, ok := errors.AsType[*failing](err); ok {
		if len(e.stderr) > 0 {
			f.printTail(e.worker, e.stderr)
		}
		return &failure{
			message: fmt.Sprintf("%s was started, but its workers fail: %s", name, e.why),
			hint:    fmt.Sprintf("it is tried on; see muster show %s, or end it: muster stop %s", name, name), code: exitFailed,
		}
	}
	if !ended(err) {
		return err
	}
	if entry, asked := daemon.AwaitIdle(ctx, name); asked == nil && entry.Why != "" { // the daemon may learn of the end later than we
		return &failure{message: name + " has ended: " + entry.Why, hint: entry.Hint, code: exitFailed}
	}
	return &failure{message: name + " has ended", hint: "see muster show " + name, code: exitFailed}
}

func (f *follower) printTail(worker uint64, lines []string) {
	fmt.Fprintf(f.stderr, "worker %d wrote at last:\n", worker)
	for _, line := range lines {
		fmt.Fprintln(f.stderr, "  | "+line)
	}
}

func newRestart(stdout, stderr *os.File) *cobra.Command {
	c := newChanger(stdout, stderr)
	updateEnv := false
	cmd := &cobra.Command{
		Use:   "restart NAME...|all",
		Short: "End an app and start it again; reload does that without downtime",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{cmd.CommandPath() + " takes the names of apps, or all", seeHelp(cmd)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.restart(cmd.Context(), args, updateEnv) },
	}
	cmd.Flags().BoolVar(&c.now, "now", false, "kill the workers without letting them finish")
	cmd.Flags().BoolVar(&updateEnv, "update-env", false, "from now on with this shell's environment")
	cmd.Flags().BoolVar(&c.noWait, "no-wait", false, "leave when the sockets are open, without waiting for the workers")
	c.waitFlags(cmd.Flags())
	return cmd
}

func (c *changer) restart(ctx context.Context, args []string, updateEnv bool) error {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	chosen, daemon, err := choose(ctx, args)
	if err != nil {
		return err
	}
	defer closeAll(chosen, daemon)
	request := api.RestartRequest{Now: c.now}
	if updateEnv {
		request.Env = os.Environ()
	}
	graph := graphOf(chosen)
	if isOrdered(graph) { // none may be replaced under those that depend on it
		if err := c.inOrder(ctx, chosen, func(ctx context.Context, f *follower, s subject, r api.StopRequest) error {
			return f.stopForRestart(ctx, daemon, s, r)
		}); err != nil {
			return err
		}
	}
	turns := newTurns(graph)
	return atOnce(ctx, c.stderr, sorted(graph, chosen), manyStarts, func(ctx context.Context, s subject, leave func()) error {
		if s.entry == nil {
			close(turns.asked[s.name])
			return &failure{
				message: s.name + " was not begun by muster start, so nobody would start it again",
				hint:    "without downtime: muster reload " + s.name, code: exitFailed,
			}
		}
		f := c.one(len(chosen) > 1)
		f.booted = leave
		answer, err := turns.ask(ctx, s.name, func() (api.StartAnswer, error) { return daemon.Restart(ctx, s.name, request) })
		if err != nil {
			return f.timedOut(s.name, err)
		}
		return f.started(ctx, daemon, answer)
	})
}
