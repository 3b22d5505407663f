package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/musterd/muster/api"
)

// Events is a stream of events. Close it.
type Events struct {
	body  io.ReadCloser
	lines *json.Decoder
	last  uint64
}

// Events watches an app. The first event is a snapshot of everything.
func (c *Client) Events(ctx context.Context) (*Events, error) { return c.events(ctx, "") }

// EventsSince goes on after a revision. If the master does not know any more what came then, the first event is a snapshot.
func (c *Client) EventsSince(ctx context.Context, revision uint64) (*Events, error) {
	events, err := c.events(ctx, "?"+api.ParamSince+"="+strconv.FormatUint(revision, 10))
	if err != nil {
		return nil, err
	}
	events.last = revision // it may end before the first event
	return events, nil
}

func (c *Client) events(ctx context.Context, query string) (*Events, error) {
	resp, err := c.send(ctx, http.MethodGet, api.PathEvents+query, nil)
	if err != nil {
		return nil, err
	}
	return &Events{body: resp.Body, lines: json.NewDecoder(resp.Body)}, nil
}

// Next waits for an event. The error is io.EOF when the master has ended, or has cut off a client that is too slow.
func (e *Events) Next() (api.Event, error) {
	var event api.Event
	err := e.lines.Decode(&event)
	switch {
	case err == nil:
		e.last = event.Revision
		return event, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return event, io.EOF
	}
	return event, fmt.Errorf("read events: %w", err)
}

// Revision is that of the last event, or what EventsSince was told, for the next EventsSince.
func (e *Events) Revision() uint64 { return e.last }

// Close ends the stream.
func (e *Events) Close() { _ = e.body.Close() }
