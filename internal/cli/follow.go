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

	generation uint64 // that the operation brings in
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

// run asks by start and follows. Where the app is ends by the operation, it waits for the end of the master's process.
func (f *follower) run(ctx context.Context, t target, start func(context.Context) (api.Operation, error)) error {
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout.Duration())
		defer cancel()
	}
	process := watchProcess(t.client.Socket())
	defer process.close()
	events, err := t.client.Events(ctx)
	if err != nil {
		return err
	}
	defer func() { events.Close() }()
	if _, err := events.Next(); err != nil { // what is, which is known
		return err
	}
	op, err := start(ctx)
	if err != nil {
		return err
	}
	if f.noWait {
		_, err := fmt.Fprintln(f.stdout, op.ID)
		return err
	}
	f.generation = op.Generation
	events, op, err = f.toTheEnd(ctx, t, events, op)
	if err == nil && op.Kind == api.OperationStop {
		err = process.gone(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return f.tooLong(t, op)
	}
	return f.report(t, op, err)
}

// toTheEnd reads events until they tell the end of the operation. A stream that breaks is begun anew where it was; the one that is open
// at last is returned.
func (f *follower) toTheEnd(ctx context.Context, t target, events *client.Events, op api.Operation) (*client.Events, api.Operation, error) {
	for op.State == api.OperationRunning {
		event, err := events.Next()
		if errors.Is(err, io.EOF) && ctx.Err() == nil {
			if op.Kind == api.OperationStop {
				op.State = api.OperationDone // with the master
				return events, op, nil
			}
			events.Close()
			var next *client.Events
			if next, err = t.client.EventsSince(ctx, events.Revision()); err == nil {
				events = next
				continue
			}
			return events, op, fmt.Errorf("the app ended before the %s did: %w", op.Kind, err)
		}
		if err != nil {
			return events, op, err
		}
		f.progress(event)
		op = latest(op, event)
	}
	return events, op, nil
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

// progress prints what happens to workers meanwhile.
func (f *follower) progress(event api.Event) {
	if f.json || f.quiet || event.Worker == 0 || event.Kind == api.EventReloadFailed {
		return
	}
	if event.Kind == api.EventFailed && event.Generation == f.generation {
		event.After = 0 // a generation that fails is not tried again
	}
	fmt.Fprintln(f.stdout, eventText(event))
}

func (f *follower) tooLong(t target, op api.Operation) error {
	return &failure{
		message: fmt.Sprintf("timed out after %v: the %s goes on", f.timeout, op.Kind),
		hint:    fmt.Sprintf("to wait for it: muster wait %s %s", t.app.Name, op.ID), code: exitTimedOut,
	}
}

// report tells how the operation has ended.
func (f *follower) report(t target, op api.Operation, err error) error {
	if err != nil {
		return err
	}
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
		fmt.Fprintf(f.stderr, "worker %d wrote at last:\n", op.Worker)
		for _, line := range op.Stderr {
			fmt.Fprintln(f.stderr, "  | "+line)
		}
	}
	return &failure{message: fmt.Sprintf("%s of %s failed: %s", op.Kind, t.app.Name, op.Reason), hint: op.Hint, code: exitFailed}
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
