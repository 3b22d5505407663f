package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/rundir"
	"github.com/spf13/cobra"
)

// target is a running app.
type target struct {
	client *client.Client
	app    api.App // as it was when it was found
}

// found is what a master has left, and what it answers: an err that is not dead tells that it is there and cannot be asked.
type found struct {
	info rundir.Info
	target
	err error
}

// answerTime is how long a master may take to say who it is.
const answerTime = 5 * time.Second

// oneApp finds the app that the arguments name: by its name, by the directory that it was started in, or, without any, by the current
// directory.
func oneApp(ctx context.Context, args []string) (target, error) {
	name, byName := ".", false
	if len(args) > 0 {
		name, byName = args[0], !strings.ContainsRune(args[0], filepath.Separator) && args[0] != "." && args[0] != ".."
	}
	if byName {
		return appByName(ctx, name)
	}
	return appByDirectory(ctx, name)
}

func appByName(ctx context.Context, name string) (target, error) {
	infos, err := rundir.Find(name)
	if err != nil {
		return target{}, err
	}
	all := ask(ctx, infos)
	if len(all) == 0 {
		return target{}, noSuchApp(ctx, name)
	}
	return all[0].target, all[0].err
}

func noSuchApp(ctx context.Context, name string) error {
	e := &failure{message: "no app named " + name + " runs", hint: "to see what runs: muster list", code: exitNotFound}
	names := runningNames(ctx)
	if near, ok := app.Nearest(name, names); ok {
		e.hint = "did you mean " + near + "?"
	} else if len(names) > 0 {
		e.hint = "what runs is " + strings.Join(names, ", ")
	}
	return e
}

func appByDirectory(ctx context.Context, dir string) (target, error) {
	here, err := os.Stat(dir)
	if err != nil {
		return target{}, &failure{message: err.Error(), hint: "name an app, or the directory that one was started in", code: exitNotFound}
	}
	all, err := runningApps(ctx)
	if err != nil {
		return target{}, err
	}
	all = slices.DeleteFunc(all, func(f found) bool {
		there, err := os.Stat(f.info.Cwd)
		return err != nil || !os.SameFile(here, there)
	})
	switch len(all) {
	case 0:
		return target{}, &failure{message: "no app runs from this directory", hint: "name one: see muster list", code: exitNotFound}
	case 1:
		return all[0].target, all[0].err
	}
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = f.info.Name
	}
	return target{}, &usageError{"several apps run from this directory: " + strings.Join(names, ", "), "name one"}
}

// runningApps finds every app of this user, by name.
func runningApps(ctx context.Context) ([]found, error) {
	infos, err := rundir.All()
	if err != nil {
		return nil, err
	}
	return ask(ctx, infos), nil
}

func runningNames(ctx context.Context) []string {
	all, _ := runningApps(ctx) // for a hint
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = f.info.Name
	}
	return names
}

// ask asks all of them at once who they are, and leaves out the dead.
func ask(ctx context.Context, infos []rundir.Info) []found {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	all := make([]found, len(infos))
	var wg sync.WaitGroup
	for i, info := range infos {
		wg.Go(func() {
			c := client.New(info.Socket)
			a, err := c.App(ctx)
			all[i] = found{info: info, target: target{client: c, app: a}, err: unanswered(info, err)}
		})
	}
	wg.Wait()
	return slices.DeleteFunc(all, func(f found) bool { return isDead(f.err) })
}

// isDead tells whether nobody listens on the socket any more.
func isDead(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT)
}

func unanswered(info rundir.Info, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("reach the master of %s, process %d: %w within %v", info.Name, info.PID, client.ErrUnreachable, answerTime)
	}
	return err
}

// nameArgument allows the name of an app, or none.
func nameArgument(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return &usageError{cmd.CommandPath() + " takes the name of one app, got " + strings.Join(args, " "), seeHelp(cmd)}
	}
	return nil
}
