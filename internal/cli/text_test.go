package cli

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
)

func TestDurationsAreShort(t *testing.T) {
	t.Parallel()
	tests := []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "0s"}, {0, "0s"}, {1500 * time.Microsecond, "2ms"}, {350 * time.Millisecond, "350ms"}, {2140 * time.Millisecond, "2.1s"},
		{12340 * time.Millisecond, "12s"}, {time.Minute, "1m"}, {20 * time.Minute, "20m"}, {200*time.Second + 1, "3m20s"}, {time.Hour, "1h0m"},
		{5*time.Hour + 10*time.Minute + 3*time.Second, "5h10m"}, {47 * time.Hour, "47h0m"}, {49 * time.Hour, "2d"},
	}
	for _, test := range tests {
		if got := short(test.d); got != test.want {
			t.Errorf("%v is %q, want %q", test.d, got, test.want)
		}
	}
}

func TestEventsInWords(t *testing.T) {
	t.Parallel()
	second := app.Duration(time.Second)
	tests := []struct {
		event api.Event
		want  string
	}{
		{api.Event{Kind: api.EventStarted, Slot: 1, Worker: 7, PID: 99}, "slot 1: worker 7 started, process 99"},
		{api.Event{Kind: api.EventReady, Slot: api.NoSlot, Worker: 7, After: second}, "spare: worker 7 waits for a slot, after 1s"},
		{api.Event{Kind: api.EventDraining, Worker: 7, Reason: "superseded"}, "slot 0: worker 7 finishes: its successor serves"},
		{api.Event{Kind: api.EventDraining, Worker: 7, Reason: "new"}, "slot 0: worker 7 finishes: new"},
		{api.Event{Kind: api.EventFailed, Worker: 7, Why: "exit status 1", After: second}, "slot 0: worker 7 failed, exit status 1; next try in 1s"},
		{api.Event{Kind: api.EventCrashLooping, Slot: 2}, "slot 2: is crash-looping"},
		{api.Event{Kind: api.EventServing, Slot: api.NoSlot}, "every slot is served"},
		{api.Event{Kind: "novel", Slot: api.NoSlot, Why: "so"}, "novel: so"},
		{api.Event{Kind: "novel", Slot: api.NoSlot}, "novel"},
		{
			api.Event{Kind: api.EventOperation, Slot: api.NoSlot, Operation: &api.Operation{ID: "3", Kind: "reload", State: "running", Done: 1, Total: 4}},
			"reload (operation 3) running, 1 of 4",
		},
		{
			api.Event{Kind: api.EventOperation, Slot: api.NoSlot, Operation: &api.Operation{ID: "3", Kind: "reload", State: "failed", Reason: "so"}},
			"reload (operation 3) failed: so",
		},
	}
	for _, test := range tests {
		if got := eventText(test.event); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestExplanation(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a := api.App{
		Name: "api", State: api.AppDegraded, Serving: 2, Workers: 4, Command: []string{"node", "server.js"}, Balance: "slots", BalanceWhy: "so", Rescued: 3,
		Hangs: 2, Spec: app.Spec{HangTimeout: app.Duration(30 * time.Second)},
		Slots: []api.Slot{
			{Slot: 0, State: api.SlotServing, Workers: []api.Worker{
				{ID: 1, PID: 11, Generation: 1, Phase: "draining", Since: now.Add(-2 * time.Minute), Reason: "superseded", KillAt: now.Add(time.Minute + time.Second/2)},
				{ID: 5, PID: 15, Generation: 2, Phase: "serving", Since: now.Add(-3 * time.Minute), Status: "well", Senses: []api.Sense{
					{Name: "ping", Says: "answered 1s ago"}, {Name: "queue", Says: "empty"},
				}, Process: "asleep, 1.2s of CPU time so far", Spared: "a debugger holds it (process 3)"},
			}},
			{Slot: 1, State: api.SlotBlocked, Waiting: 2, Workers: []api.Worker{
				{ID: 2, PID: 12, Generation: 1, Phase: "serving", Since: now.Add(-time.Hour), BlockedSince: now.Add(-30 * time.Second), Senses: []api.Sense{{Name: "queue", Silent: true, Says: "2 waiting"}}},
				{ID: 8, PID: 18, Generation: 1, Phase: "serving", Since: now.Add(-time.Hour)},
			}},
			{Slot: 2, State: api.SlotCrashLoop, Failures: 9, NextSpawn: now.Add(10*time.Second + time.Second/2), Exits: []api.Exit{
				{Worker: 3, At: now.Add(-20 * time.Second), Why: "exit status 3", Failed: true, Lived: app.Duration(50 * time.Millisecond), Hang: "it sleeps", Stderr: []string{"oops"}},
				{Worker: 4, At: now, Why: "exit status 0"},
			}},
			{Slot: 3, State: api.SlotStarting, Workers: []api.Worker{{ID: 6, Generation: 1, Phase: "starting", Since: now.Add(-time.Minute)}}},
		},
	}
	var got strings.Builder
	if err := explainTo(&got, a); err != nil {
		t.Fatal(err)
	}
	want := `api is degraded: 2 of 4 slots are served, by node server.js.
Connections are spread by slots: so.
3 connections waited for a blocked worker and were served by others.
A worker that gives no sign for 30s is hung. That happened 2 times so far.

slot 0 is served.
  worker 1 finishes since 2m: its successor serves; it is killed in 1m (process 11, generation 1)
  worker 5 serves since 3m; it says "well" (process 15, generation 2)
    watched by ping (answered 1s ago), queue (empty); its process: asleep, 1.2s of CPU time so far
    it was silent and not called hung: a debugger holds it (process 3)

slot 1 is blocked: its worker does not take its connections. 2 connections waiting in its queue.
  worker 2 serves, but has taken no connection for 30s (process 12, generation 1)
    watched by queue (SILENT: 2 waiting)
  worker 8 serves since 1h0m (process 18, generation 1)
    the hang watchdog is off for it: it gives no sign (it has no queue of its own, answers no pings, and sends no WATCHDOG=1)

slot 2 is crash-looping: 9 failures in a row; it is tried again in 10s.
  worker 3 failed 20s ago: exit status 3, after 50ms
    it was hung: it sleeps
    | oops

slot 3 has a worker that does not serve yet.
  worker 6 is starting since 1m (process -, generation 1)
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestNegativeNumbersAreNoFlags(t *testing.T) {
	t.Parallel()
	tests := []struct{ line, want string }{
		{"scale api -1", "scale api -- -1"},
		{"scale -1", "scale -- -1"},
		{"scale api +1", "scale api +1"},
		{"scale api --json", "scale api --json"},
		{"scale api -q", "scale api -q"},
		{"stop -1", "stop -1"},
		{"scale", "scale"},
	}
	for _, test := range tests {
		if got := lessIsNoFlag(strings.Fields(test.line)); !slices.Equal(got, strings.Fields(test.want)) {
			t.Errorf("%q is %q", test.line, got)
		}
	}
}
