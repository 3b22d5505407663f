package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/testutil"
)

// serve answers on a unix socket and returns a client of it.
func serve(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(testutil.TempDir(t), "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.Listener = l
	server.Start()
	c := client.New(l.Addr().String())
	t.Cleanup(func() { c.Close(); server.Close() })
	return c
}

func TestRequests(t *testing.T) {
	t.Parallel()
	var got string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.String() + " " + string(body)
		w.WriteHeader(http.StatusAccepted)
		_ = json.NewEncoder(w).Encode(api.Operation{ID: "7", State: api.OperationDone})
	})
	tests := []struct {
		want string
		ask  func(context.Context) (api.Operation, error)
	}{
		{"POST /v1/reload ", c.Reload},
		{"POST /v1/rollback ", c.Rollback},
		{"POST /v1/upgrade ", c.Upgrade},
		{`POST /v1/scale {"workers":"+1"}`, func(ctx context.Context) (api.Operation, error) { return c.Scale(ctx, "+1") }},
		{`POST /v1/stop {}`, func(ctx context.Context) (api.Operation, error) { return c.Stop(ctx, false) }},
		{`POST /v1/stop {"now":true}`, func(ctx context.Context) (api.Operation, error) { return c.Stop(ctx, true) }},
		{"GET /v1/operations/7 ", func(ctx context.Context) (api.Operation, error) { return c.Operation(ctx, "7", 0) }},
		{"GET /v1/operations/a%2Fb?wait=1m0s ", func(ctx context.Context) (api.Operation, error) { return c.Operation(ctx, "a/b", time.Minute) }},
	}
	for _, test := range tests {
		op, err := test.ask(t.Context())
		if err != nil || op.ID != "7" || got != test.want {
			t.Errorf("asked %q, want %q; answer %+v, %v", got, test.want, op, err)
		}
	}
}

func TestAwaitAsksAgain(t *testing.T) {
	t.Parallel()
	asked := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		op := api.Operation{ID: "7", State: api.OperationRunning}
		if asked == 3 {
			op.State = api.OperationFailed
		}
		_ = json.NewEncoder(w).Encode(op)
	})
	if op, err := c.Await(t.Context(), "7"); err != nil || op.State != api.OperationFailed || asked != 3 {
		t.Errorf("%+v, %v after %d", op, err, asked)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	want := &api.Error{Kind: api.KindConflict, Message: "no", Hint: "later"}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusConflict)
		if r.URL.Path == api.PathApp {
			_ = json.NewEncoder(w).Encode(api.Failure{Error: *want})
		} else {
			_, _ = io.WriteString(w, "plain words\n")
		}
	})
	_, err := c.App(t.Context())
	if got, ok := errors.AsType[*api.Error](err); !ok || cmp.Diff(want, got) != "" {
		t.Errorf("got %v", err)
	}
	if _, err = c.Reload(t.Context()); err == nil || err.Error() != "the master answered 409 Conflict: plain words" {
		t.Errorf("got %v", err)
	}
	if _, err := c.Events(t.Context()); err == nil {
		t.Error("events of a master that has none")
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	c := client.New(filepath.Join(testutil.TempDir(t), "none"))
	_, err := c.App(t.Context())
	if !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.App(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		e := json.NewEncoder(w)
		_ = e.Encode(api.Event{Revision: 5, Kind: api.EventKind(r.URL.RawQuery)})
		_ = e.Encode(api.Event{Revision: 6})
	})
	events, err := c.EventsSince(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	if e, err := events.Next(); err != nil || e.Kind != "since=4" || events.Revision() != 5 {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := events.Next(); err != nil || events.Revision() != 6 {
		t.Errorf("revision %d, %v", events.Revision(), err)
	}
	if _, err := events.Next(); !errors.Is(err, io.EOF) || events.Revision() != 6 {
		t.Errorf("at the end: %v", err)
	}
}

// A stream that ends before its first event is gone on with from where it was to begin.
func TestEventsThatEndAtOnce(t *testing.T) {
	t.Parallel()
	c := serve(t, func(http.ResponseWriter, *http.Request) {})
	events, err := c.EventsSince(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	if _, err := events.Next(); !errors.Is(err, io.EOF) || events.Revision() != 4 {
		t.Errorf("revision %d, %v", events.Revision(), err)
	}
}
