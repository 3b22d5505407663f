package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/spf13/cobra"
)

type eventsCommand struct {
	revealFlag
	follow bool
	past   int
	json   bool
	stdout *os.File
}

func newEvents(stdout *os.File) *cobra.Command {
	e := &eventsCommand{stdout: stdout}
	cmd := &cobra.Command{
		Use:   "events [NAME]",
		Short: "Show what has happened in an app",
		Args:  nameArgument,
		RunE:  func(cmd *cobra.Command, args []string) error { return e.run(cmd.Context(), args) },
	}
	cmd.Flags().BoolVarP(&e.follow, "follow", "f", false, "go on with what happens, until the app ends")
	cmd.Flags().IntVarP(&e.past, "lines", "n", 100, "how many of the last `N` events; a master remembers a thousand")
	cmd.Flags().BoolVar(&e.json, "json", false, "print each event as a line of JSON")
	e.flags(cmd.Flags())
	return cmd
}

func (e *eventsCommand) run(ctx context.Context, args []string) error {
	t, err := oneApp(ctx, args)
	if err != nil {
		return err
	}
	defer t.client.Close()
	since := t.app.Revision - min(t.app.Revision, uint64(max(0, e.past)))
	for {
		events, err := e.of(t.client).EventsSince(ctx, since)
		if errors.Is(err, client.ErrUnreachable) && since >= t.app.Revision {
			return nil // the app has ended
		}
		if err != nil {
			return err
		}
		done, err := e.print(events, t.app.Revision)
		since = events.Revision()
		events.Close()
		if done || err != nil {
			return err
		}
	}
}

// print is done where a client that does not follow has seen everything up to the revision last.
func (e *eventsCommand) print(events *client.Events, last uint64) (done bool, err error) {
	if !e.follow && last == 0 {
		return true, nil
	}
	for {
		event, err := events.Next()
		if errors.Is(err, io.EOF) {
			return !e.follow, nil
		}
		if err == nil && event.Kind != api.EventSnapshot {
			err = e.line(event)
		}
		if err != nil || !e.follow && event.Revision >= last {
			return true, err
		}
	}
}

func (e *eventsCommand) line(event api.Event) error {
	if e.json {
		return json.NewEncoder(e.stdout).Encode(event)
	}
	_, err := fmt.Fprintln(e.stdout, event.At.Local().Format(time.StampMilli), eventText(event))
	return err
}
