package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
	"github.com/musterd/muster/internal/daemon"
	"github.com/musterd/muster/internal/rundir"
)

// subject is an app that a command is about: one that the daemon keeps, or one of muster run.
type subject struct {
	name  string
	entry *api.Entry // nil: of muster run
	found            // its master, while it runs
}

// running tells whether it has a master that answers.
func (s subject) running() bool { return s.client != nil && s.err == nil }

// id is the daemon's number of the app.
func (s subject) id() string {
	if s.entry == nil {
		return "-"
	}
	return strconv.Itoa(s.entry.ID)
}

// close ends what it has open.
func (s subject) close() {
	if s.client != nil {
		s.client.Close()
	}
}

// everything is all apps, those of the daemon first. The daemon is nil if none runs; it is the caller's to close.
func everything(ctx context.Context) ([]subject, *client.Client, error) {
	daemon, err := theDaemon(ctx)
	if err != nil {
		return nil, nil, err
	}
	var kept []subject
	if daemon != nil {
		entries, err := daemon.Entries(ctx)
		if err != nil {
			daemon.Close()
			return nil, nil, err
		}
		for _, e := range entries {
			kept = append(kept, subjectOf(e))
		}
	}
	others, err := runningBut(ctx, func(name string) bool {
		return slices.ContainsFunc(kept, func(s subject) bool { return s.name == name })
	})
	return append(kept, others...), daemon, err
}

// theDaemon returns a client of the daemon, or nil where there is nothing that it would keep. One that was killed is started again.
func theDaemon(ctx context.Context) (*client.Client, error) {
	c, err := runningDaemon(ctx)
	if c != nil || err != nil {
		return c, err
	}
	dir, err := rundir.FindStateDir()
	if err != nil || !daemon.HasApps(dir) {
		return nil, nil
	}
	return aDaemon(ctx)
}

// subjectOf is an app of the daemon.
func subjectOf(e api.Entry) subject {
	s := subject{name: e.Name, entry: &e}
	if e.Socket == "" {
		return s
	}
	s.client = client.New(e.Socket)
	s.info.Name, s.info.PID, s.info.Socket, s.info.Started = e.Name, e.PID, e.Socket, e.Since
	if e.App != nil {
		s.app = *e.App
	} else {
		s.err = fmt.Errorf("reach the master of %s, process %d: %w: %s", e.Name, e.PID, client.ErrUnreachable, e.Silent)
	}
	return s
}

// runningBut finds the apps of muster run, without those whose names are known.
func runningBut(ctx context.Context, known func(name string) bool) ([]subject, error) {
	all, err := rundir.All()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(i rundir.Info) bool { return known(i.Name) })
	var subjects []subject
	for _, f := range ask(ctx, all) {
		subjects = append(subjects, subject{name: f.info.Name, found: f})
	}
	return subjects, nil
}

// choose returns the apps that the arguments name, each once: by name, by the daemon's number, by a pattern as api-*, by the directory
// that it was started in, by an app file, or all. No argument is the current directory.
func choose(ctx context.Context, args []string) (chosen []subject, daemon *client.Client, err error) {
	all, daemon, err := everything(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(args) == 0 {
		args = []string{"."}
	}
	for _, arg := range args {
		some, err := chosenBy(all, arg)
		if err != nil {
			if daemon != nil {
				daemon.Close()
			}
			return nil, nil, err
		}
		chosen = append(chosen, some...)
	}
	seen := map[string]bool{}
	chosen = slices.DeleteFunc(chosen, func(s subject) bool {
		twice := seen[s.name]
		seen[s.name] = true
		return twice
	})
	return chosen, daemon, nil
}

// everyApp is the argument that means all.
const everyApp = "all"

func chosenBy(all []subject, arg string) ([]subject, error) {
	if !config.IsAppFile(arg) {
		return matching(all, arg)
	}
	entries, _, err := config.Load(arg, config.Options{})
	if err != nil {
		return nil, err
	}
	some := slices.DeleteFunc(slices.Clone(all), func(s subject) bool {
		return !slices.ContainsFunc(entries, func(e config.Entry) bool { return e.Name == s.name })
	})
	if len(some) == 0 {
		return nil, &failure{message: "no app of " + arg + " was started", hint: "to start them: muster start " + arg, code: exitNotFound}
	}
	return some, nil
}

func matching(all []subject, arg string) ([]subject, error) {
	var some []subject
	for _, s := range all {
		if s.name == arg {
			return []subject{s}, nil
		}
		if arg == everyApp || matchesPattern(s, arg) {
			some = append(some, s)
		}
	}
	switch {
	case len(some) > 0:
		return some, nil
	case arg == everyApp:
		return nil, &failure{message: "there is no app", hint: "to start one: muster start FILE", code: exitNotFound}
	case isDirectory(arg):
		return inDirectory(all, arg)
	case isPattern(arg):
		return nil, &failure{message: "no app's name is like " + arg, hint: "to see what there is: muster list", code: exitNotFound}
	}
	return nil, noSuchSubject(all, arg)
}

func matchesPattern(s subject, arg string) bool {
	if s.entry != nil && strconv.Itoa(s.entry.ID) == arg {
		return true
	}
	ok, err := path.Match(arg, s.name)
	return isPattern(arg) && err == nil && ok
}

func isPattern(arg string) bool { return strings.ContainsAny(arg, "*?[") && !isDirectory(arg) }

func isDirectory(arg string) bool {
	return arg == "." || arg == ".." || strings.ContainsRune(arg, filepath.Separator)
}

func noSuchSubject(all []subject, name string) error {
	e := &failure{message: "there is no app named " + name, hint: "to see what there is: muster list", code: exitNotFound}
	names := namesOf(all)
	if near, ok := app.Nearest(name, names); ok {
		e.hint = "did you mean " + near + "?"
	} else if len(names) > 0 && len(names) < 10 {
		e.hint = "there is " + strings.Join(names, ", ")
	}
	return e
}

// inDirectory finds the one app that was started in a directory.
func inDirectory(all []subject, dir string) ([]subject, error) {
	here, err := os.Stat(dir)
	if err != nil {
		return nil, &failure{message: err.Error(), hint: "name an app, or the directory that one was started in", code: exitNotFound}
	}
	var some []subject
	for _, s := range all {
		if there, err := os.Stat(s.dir()); err == nil && os.SameFile(here, there) {
			some = append(some, s)
		}
	}
	switch len(some) {
	case 0:
		return nil, &failure{message: "no app was started from this directory", hint: "name one: see muster list", code: exitNotFound}
	case 1:
		return some, nil
	}
	return nil, &usageError{"several apps were started from this directory: " + strings.Join(namesOf(some), ", "), "name one"}
}

// dir is the directory that the app was started in.
func (s subject) dir() string {
	if s.entry != nil && s.entry.Launch != nil {
		return s.entry.Launch.Base
	}
	return s.info.Cwd
}

// notRunning is why a command that needs a master has nothing to do.
func (s subject) notRunning() error {
	if s.err != nil {
		return s.err
	}
	message, hint := s.name+" does not run", "to start it: muster start "+s.name
	if s.entry != nil {
		message = fmt.Sprintf("%s is %s", s.name, s.entry.State)
		if s.entry.Why != "" {
			message += ": " + s.entry.Why
		}
		hint = cmp.Or(s.entry.Hint, hint)
	}
	return &failure{message: message, hint: hint, code: exitNotFound}
}

// atOnce does something for each app, so many at the same time, the first first, and reports what went wrong with each. Whoever only waits
// from now on leaves room for the next.
func atOnce(ctx context.Context, stderr *os.File, subjects []subject, limit int, do func(ctx context.Context, s subject, leave func()) error) error {
	if len(subjects) == 1 {
		return do(ctx, subjects[0], func() {})
	}
	outcomes := make([]error, len(subjects))
	room := make(chan struct{}, limit)
	var wg sync.WaitGroup
	for i, s := range subjects {
		room <- struct{}{} // in turn
		wg.Go(func() {
			leave := sync.OnceFunc(func() { <-room })
			defer leave()
			outcomes[i] = do(ctx, s, leave)
		})
	}
	wg.Wait()
	worst := exitOK
	for _, err := range outcomes {
		if err != nil {
			worst = max(worst, report(stderr, nil, err))
		}
	}
	if worst != exitOK {
		return exitError(worst)
	}
	return nil
}
