package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/app"
	"github.com/spf13/pflag"
)

// follower asks for an operation, tells how it goes on, and returns when it has ended.
type follower struct {
	noWait  bool
	timeout app.Duration
	json    bool
	quiet   bool
	stdout  *os.File
	stderr  *os.File

	generation uint64                      // that the operation brings in
	id         string                      // of the operation
	hook       api.Hook                    // that was told to run
	terse      bool                        // no progress: several apps are followed
	booted     func()                      // unless nil, is told that no worker boots any more, although there is still something to wait for
	again      string                      // what a start does to an app that runs as it should: againReload, againRestart, or nothing
	status     *status                     // while it waits on a terminal
	settled    func(context.Context) error // unless nil, waits until the daemon knows of a stop, too
}

func (f *follower) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&f.noWait, "no-wait", false, "print the operation's number and leave; see muster wait")
	f.waitFlags(flags)
}

func (f *follower) waitFlags(flags *pflag.FlagSet) {
	flags.Var(&f.timeout, "timeout", "wait no longer than this; the operation goes on (default: for ever)")
	flags.BoolVar(&f.json, "json", false, "print the operation at its end, as JSON")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print nothing but errors")
}

// run asks by start and follows, within the timeout.
func (f *follower) run(ctx context.Context, t target, start func(context.Context) (api.Operation, error)) error {
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout.Duration())
		defer cancel()
	}
	op, err := f.follow(ctx, t, start)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return f.tooLong(t, op)
	case err != nil:
		return err
	case f.noWait:
		_, err := fmt.Fprintln(f.stdout, op.ID)
		return err
	}
	return f.report(t, op)
}

// follow returns the operation at its end, or at its begin without waiting. Where the app ends with it, it waits for the end of the
// master's process.
func (f *follower) follow(ctx context.Context, t target, start func(context.Context) (api.Operation, error)) (api.Operation, error) {
	process := watchProcess(t.client.Socket())
	defer process.close()
	s := &stream{client: t.client}
	defer s.close()
	if _, err := s.next(ctx); err != nil { // what is, which is known
		return api.Operation{}, err
	}
	op, err := start(ctx)
	if err != nil || f.noWait {
		return op, err
	}
	f.status = f.newStatus(string(op.Kind) + " of " + t.app.Name)
	op, err = f.toTheEnd(ctx, s, op)
	f.status.end()
	f.status = nil
	if err != nil || op.Kind != api.OperationStop {
		return op, err
	}
	if err := process.gone(ctx); err != nil || f.settled == nil {
		return op, err
	}
	return op, f.settled(ctx)
}

// toTheEnd reads events until they tell the end of the operation. That of a stop may be told by the end of the events alone.
func (f *follower) toTheEnd(ctx context.Context, s *stream, op api.Operation) (api.Operation, error) {
	f.id = op.ID
	ready := 0
	for op.State == api.OperationRunning {
		event, err := s.next(ctx)
		switch {
		case ended(err) && op.Kind == api.OperationStop:
			op.State = api.OperationDone
			return op, nil
		case ended(err):
			return op, fmt.Errorf("the app ended before the %s did: %w", op.Kind, err)
		case err != nil:
			return op, err
		}
		if op = latest(op, event); isForgotten(op, event) {
			return op, &failure{
				message: fmt.Sprintf("the master of %s was killed before it had written down the %s", event.App.Name, op.Kind),
				hint:    "the next one knows nothing of it; try again", code: exitFailed,
			}
		}
		f.generation = op.Generation
		if op.Total > 0 {
			f.status.set(fmt.Sprintf("%s: %d of %d", op.Kind, op.Done, op.Total))
		}
		f.progress(event)
		if event.Kind == api.EventReady && event.Slot != api.NoSlot && event.Generation == op.Generation {
			ready++
		}
		if op.Total > 0 && ready >= op.Total {
			f.leave()
		}
	}
	return op, nil
}

// leave tells that no worker boots any more.
func (f *follower) leave() {
	if f.booted != nil {
		f.booted()
	}
}

// ended tells whether the error means that the app has ended, or is about to.
func ended(err error) bool {
	answer, ok := errors.AsType[*api.Error](err)
	return errors.Is(err, client.ErrUnreachable) || ok && answer.Kind == api.KindUnavailable
}

// stream is the events of an app, begun anew where it breaks: when a client was too slow, or the master becomes another binary.
type stream struct {
	client *client.Client
	events *client.Events // nil at first
}

func (s *stream) next(ctx context.Context) (api.Event, error) {
	for {
		if err := s.open(ctx); err != nil {
			return api.Event{}, err
		}
		event, err := s.events.Next()
		if err == nil {
			return event, nil
		}
		if ctx.Err() != nil {
			return api.Event{}, ctx.Err()
		}
		revision := s.events.Revision()
		s.close()
		if s.events, err = s.client.EventsSince(ctx, revision); err != nil {
			return api.Event{}, err
		}
	}
}

func (s *stream) open(ctx context.Context) (err error) {
	if s.events == nil {
		s.events, err = s.client.Events(ctx)
	}
	return err
}

func (s *stream) close() {
	if s.events != nil {
		s.events.Close()
		s.events = nil
	}
}

// latest is the operation as the event shows it, if it does.
func latest(op api.Operation, event api.Event) api.Operation {
	if event.Operation != nil && event.Operation.ID == op.ID {
		return *event.Operation
	}
	if event.App != nil {
		if i := slices.IndexFunc(event.App.Operations, func(o api.Operation) bool { return o.ID == op.ID }); i >= 0 {
			return event.App.Operations[i]
		}
	}
	return op
}

// isForgotten tells whether the event shows everything, and not the operation.
func isForgotten(op api.Operation, event api.Event) bool {
	return event.App != nil && !slices.ContainsFunc(event.App.Operations, func(o api.Operation) bool { return o.ID == op.ID })
}

// progress prints what happens to workers meanwhile.
func (f *follower) progress(event api.Event) {
	if f.json || f.quiet || f.terse {
		return
	}
	if op := event.Operation; op != nil && op.ID == f.id && op.State == api.OperationRunning && op.Hook != "" && op.Hook != f.hook {
		f.hook = op.Hook
		fmt.Fprintln(f.stdout, string(op.Hook)+" runs")
	}
	if event.Worker == 0 || event.Kind == api.EventReloadFailed {
		return
	}
	if event.Kind == api.EventFailed && event.Generation == f.generation {
		event.After = 0 // a generation that fails is not tried again
	}
	if f.status != nil {
		f.status.print(eventText(event))
		return
	}
	fmt.Fprintln(f.stdout, eventText(event))
}

func (f *follower) tooLong(t target, op api.Operation) error {
	if op.ID == "" {
		return &failure{message: fmt.Sprintf("timed out after %v, without an answer", f.timeout), hint: "see muster show " + t.app.Name, code: exitTimedOut}
	}
	return &failure{
		message: fmt.Sprintf("timed out after %v: the %s goes on", f.timeout, op.Kind),
		hint:    fmt.Sprintf("to wait for it: muster wait %s %s", t.app.Name, op.ID), code: exitTimedOut,
	}
}

// report tells how the operation has ended.
func (f *follower) report(t target, op api.Operation) error {
	if f.json {
		if err := printJSON(f.stdout, op); err != nil {
			return err
		}
	}
	if op.State == api.OperationFailed {
		return f.failed(t, op)
	}
	if !f.json && !f.quiet {
		fmt.Fprintln(f.stdout, doneText(t.app.Name, op))
	}
	return nil
}

func (f *follower) failed(t target, op api.Operation) error {
	if len(op.Stderr) > 0 {
		fmt.Fprintf(f.stderr, "%s wrote at last:\n", culprit(op))
		for _, line := range op.Stderr {
			fmt.Fprintln(f.stderr, "  | "+line)
		}
	}
	return &failure{message: fmt.Sprintf("%s of %s failed: %s", op.Kind, t.app.Name, op.Reason), hint: op.Hint, code: exitFailed}
}

// culprit is who made the operation fail.
func culprit(op api.Operation) string {
	if op.Worker == 0 && op.Hook != "" {
		return string(op.Hook)
	}
	return fmt.Sprintf("worker %d", op.Worker)
}

func doneText(name string, op api.Operation) string {
	switch op.Kind {
	case api.OperationReload:
		return fmt.Sprintf("reloaded %s: %s in generation %d", name, count(op.Total, "worker"), op.Generation)
	case api.OperationRollback:
		return fmt.Sprintf("rolled %s back: %s in generation %d", name, count(op.Total, "worker"), op.Generation)
	case api.OperationScale:
		return fmt.Sprintf("scaled %s to %s", name, count(op.Workers, "worker"))
	case api.OperationStop:
		return "stopped " + name
	case api.OperationUpgrade:
		return "upgraded the master of " + name
	}
	return string(op.Kind) + " of " + name + " done"
}

func printJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(value)
}
