package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
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

// oneApp finds the running app that the arguments name; see choose.
func oneApp(ctx context.Context, args []string) (target, error) {
	s, err := oneSubject(ctx, args)
	if err != nil {
		return target{}, err
	}
	if !s.running() {
		s.close()
		return target{}, s.notRunning()
	}
	return s.target, nil
}

// oneSubject finds the app that the arguments name, whether it runs or not.
func oneSubject(ctx context.Context, args []string) (subject, error) {
	chosen, daemon, err := choose(ctx, args)
	if err != nil {
		return subject{}, err
	}
	if daemon != nil {
		daemon.Close()
	}
	if len(chosen) > 1 {
		return subject{}, &usageError{args[0] + " means more than one app", "name one: see muster list"}
	}
	return chosen[0], nil
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
