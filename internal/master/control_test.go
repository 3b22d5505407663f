package master

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/apiserver"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/envfile"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/secret"
	"github.com/musterd/muster/internal/testutil"
)

// fake is a master of two workers that serve, without processes, whose loop runs and whose API is served.
type fake struct {
	t *testing.T
	m *Master
	c *client.Client
}

func newFake(t *testing.T, change func(*Config), as apiserver.Peer) *fake {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(app.Spec{Name: "api", Command: []string{"x"}, Env: map[string]string{"SECRET": "s"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{App: a, Workers: 2, CPUs: 4, Handoff: app.HandoffNone, Argv: []string{"/bin/x"}, Base: "/srv", Kind: KindOther, Stdout: null, Stderr: null}
	if change != nil {
		change(&cfg)
	}
	m := newMaster(cfg)
	m.output = m.newOutput()
	m.state.NextID = 3
	for slot := range 2 {
		m.state.Workers = append(m.state.Workers, lifecycle.Worker{
			ID: lifecycle.WorkerID(slot + 1), Slot: slot, Gen: 1, Phase: lifecycle.Serving, Spawned: true, Served: true, ReadyAt: time.Now(),
		})
	}
	f := &fake{t: t, m: m}
	f.serve(as)
	go f.loop() // ends when done is closed
	t.Cleanup(func() {
		f.do(m.endWatch)
		close(m.done)
		m.flush()
		m.closeOutput()
		_ = null.Close()
	})
	return f
}

// me is who runs the tests.
var me = apiserver.Peer{UID: os.Geteuid()}

func (f *fake) serve(as apiserver.Peer) {
	f.t.Helper()
	socket := filepath.Join(testutil.TempDir(f.t), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		f.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(f.m.api())
	server.Listener = l
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { return apiserver.WithPeer(ctx, as) }
	server.Start()
	f.c = client.New(socket)
	f.t.Cleanup(func() { f.c.Close(); server.Close() })
}

func (f *fake) loop() {
	for {
		select {
		case do := <-f.m.inbox:
			do()
			f.m.drainQueued()
		case <-f.m.done:
			return
		}
	}
}

// do runs in the loop.
func (f *fake) do(do func()) {
	done := make(chan struct{})
	f.m.post(func() { do(); close(done) })
	<-done
}

// request asks as a program without our client would.
func (f *fake) request(method, path, body string) (int, string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, "http://x"+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", f.c.Socket())
	}
	resp, err := (&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, text
}

func TestAppIsDescribed(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil, me)
	f.do(func() {
		f.m.exits = []exitNote{{worker: 9, gen: 1, pid: 99, lived: 1500 * time.Millisecond, tail: []string{"oops"}}}
		for range 7 {
			news := lifecycle.Announce{News: lifecycle.NewsFailed, Worker: 9, Slot: 1, Why: "exit status 1", After: 100 * time.Millisecond}
			f.m.takeNote(news)
			f.m.announce(news)
		}
		f.m.state.Slots[1] = lifecycle.Slot{Failures: 7, Respawns: 7, NextSpawn: time.Now().Add(time.Hour)}
		f.m.state.Workers = f.m.state.Workers[:1]
	})
	a, err := f.c.App(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a.Name != "api" || a.PID != os.Getpid() || a.Workers != 2 || a.Serving != 1 || a.State != api.AppStarting || a.Generation != 1 || a.Respawns != 7 {
		t.Errorf("got %+v", a)
	}
	if got := a.Spec.Env["SECRET"]; got != secret.Mask || len(a.Spec.Env) != 1 {
		t.Errorf("environment %v", a.Spec.Env)
	}
	slot := a.Slots[1]
	if slot.State != api.SlotCrashLoop || !slot.CrashLooping || len(slot.Exits) != keptExits || slot.NextSpawn.IsZero() {
		t.Errorf("slot %+v", slot)
	}
	exit := slot.Exits[4]
	exit.At = time.Time{}
	want := api.Exit{
		Worker: 9, PID: 99, Generation: 1, Lived: app.Duration(1500 * time.Millisecond), Why: "exit status 1", Failed: true,
		RetryIn: app.Duration(100 * time.Millisecond), Stderr: []string{"oops"},
	}
	if diff := cmp.Diff(want, exit); diff != "" {
		t.Error(diff)
	}
}

// What workers take is looked at only for those who want to know it: whoever asks a hundred masters does so once himself.
func TestUsageIsLeftOut(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil, me)
	measured, err := f.c.App(t.Context())
	if err != nil || runtime.GOOS == "linux" && measured.Usage == nil {
		t.Errorf("measured: %+v, %v", measured.Usage, err)
	}
	other, err := f.c.AppUnmeasured(t.Context())
	if err != nil || other.Usage != nil || other.Name != measured.Name || len(other.Slots) != len(measured.Slots) {
		t.Errorf("not measured: %+v, %v", other, err)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil, me)
	check := func(name string, ready int) {
		t.Helper()
		if code, _ := f.request(http.MethodGet, api.PathHealth, ""); code != http.StatusOK {
			t.Errorf("%s: health %d", name, code)
		}
		if code, body := f.request(http.MethodGet, api.PathReady, ""); code != ready {
			t.Errorf("%s: ready %d %s", name, code, body)
		}
	}
	check("serving", http.StatusOK)
	f.do(func() { f.m.state.Workers[0].Phase = lifecycle.Starting })
	check("one serves", http.StatusOK)
	f.do(func() { f.m.state.Workers[1].Phase = lifecycle.Draining })
	check("none serves", http.StatusServiceUnavailable)
	f.do(func() { f.m.state.Workers[0].Phase, f.m.state.Stopping = lifecycle.Serving, true })
	check("stopping", http.StatusServiceUnavailable)
}

func TestStrangersMayOnlyAskWhetherItLives(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		as    apiserver.Peer
		words string
	}{
		{"another user", apiserver.Peer{UID: os.Geteuid() + 12345}, "may not control an app of user"},
		{"nobody knows", apiserver.Peer{UID: -1, Err: errors.New("no idea")}, "find out who you are: no idea"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, nil, test.as)
			for _, r := range routes {
				code, body := f.request(r.Method, strings.ReplaceAll(r.Path, "{id}", "1"), "")
				if r.Access == apiserver.Owner && (code != http.StatusForbidden || !strings.Contains(body, test.words)) || r.Access == apiserver.Anyone && code != http.StatusOK {
					t.Errorf("%s %s: %d %s", r.Method, r.Path, code, body)
				}
			}
			if f.m.state.Stopping || len(f.m.control.memory.Operations) > 0 {
				t.Error("something was done")
			}
		})
	}
	if err := (apiserver.Peer{UID: 0}).Check(); err != nil {
		t.Errorf("root: %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil, me)
	tests := []struct {
		method, path, body string
		code               int
		words              string
	}{
		{"GET", "/v2", "", 404, `"message":"there is no GET /v2"`},
		{"GET", api.PathReload, "", 404, "there is no GET /v1/reload"},
		{"POST", api.PathScale, `{"workers":`, 400, "read the request"},
		{"POST", api.PathScale, `{"worker":"1"}`, 400, "unknown field"},
		{"POST", api.PathScale, `{"workers":"many"}`, 400, "is not a number of workers"},
		{"POST", api.PathScale, ``, 400, "is not a number of workers"},
		{"POST", api.PathScale, `{"workers":"-2"}`, 400, "none would be left"},
		{"POST", api.PathScale, `{"workers":"+99999"}`, 400, "more than"},
		{"GET", "/v1/operations/7", "", 404, "there is no such operation"},
		{"GET", "/v1/operations/x", "", 404, "there is no such operation"},
		{"GET", "/v1/operations/1?wait=soon", "", 400, "is not a duration"},
		{"GET", "/v1/events?since=x", "", 400, "is no revision"},
		{"POST", api.PathRollback, "", 409, "there is no generation to go back to"},
		{"POST", api.PathStop, `{"now":"yes"}`, 400, "read the request"},
	}
	for _, test := range tests {
		code, body := f.request(test.method, test.path, test.body)
		if code != test.code || !strings.Contains(body, test.words) || !strings.HasPrefix(body, `{"error":{"kind":`) {
			t.Errorf("%s %s %s: %d %s", test.method, test.path, test.body, code, body)
		}
	}
}

func TestScaleDownEndsWithTheSlot(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil, me)
	op, err := f.c.Scale(t.Context(), "-1")
	if err != nil || op.State != api.OperationRunning || op.From != 2 || op.Workers != 1 || op.Total != 1 {
		t.Fatalf("%+v, %v", op, err)
	}
	if same, err := f.c.Operation(t.Context(), op.ID, time.Millisecond); err != nil || same.State != api.OperationRunning {
		t.Errorf("%+v, %v", same, err)
	}
	ended := make(chan api.Operation)
	go func() {
		got, _ := f.c.Await(t.Context(), op.ID)
		ended <- got
	}()
	f.do(func() { f.m.step(lifecycle.Exited{Worker: 2, Why: "exit status 0"}) })
	if got := <-ended; got.State != api.OperationDone || got.Done != 1 || got.Ended.IsZero() {
		t.Errorf("%+v", got)
	}
	if again, err := f.c.Scale(t.Context(), "1"); err != nil || again.State != api.OperationDone {
		t.Errorf("to the same: %+v, %v", again, err)
	}
}

func TestStopEndsWithTheLastWorker(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil, me)
	scale, err := f.c.Scale(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	op, err := f.c.Stop(t.Context(), false)
	if err != nil || op.State != api.OperationRunning || op.Total != 2 {
		t.Fatalf("%+v, %v", op, err)
	}
	if same, err := f.c.Stop(t.Context(), true); err != nil || same.ID != op.ID {
		t.Errorf("%+v, %v", same, err)
	}
	if got, err := f.c.Await(t.Context(), scale.ID); err != nil || got.State != api.OperationFailed || got.Reason != "the app is being stopped" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, ask := range []func(context.Context) (api.Operation, error){
		f.c.Upgrade, func(ctx context.Context) (api.Operation, error) { return f.c.Scale(ctx, "3") },
	} {
		if _, err := ask(t.Context()); kindIn(err) != api.KindConflict {
			t.Errorf("while stopping: %v", err)
		}
	}
	f.do(func() {
		f.m.step(lifecycle.Exited{Worker: 1, Why: "x"})
		f.m.step(lifecycle.Exited{Worker: 2, Why: "x"})
	})
	if got, err := f.c.Await(t.Context(), op.ID); err != nil || got.State != api.OperationDone || got.Done != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

func kindIn(err error) api.Kind {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Kind
	}
	return ""
}

func TestReloadThatIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		reload       func(Config) (Config, error)
		reason, hint string
	}{
		{"spec", func(c Config) (Config, error) { return c, &app.Error{Field: "cwd", Reason: "is gone", Hint: "make it"} }, "cwd: is gone", "make it"},
		{"env file", func(c Config) (Config, error) { _, err := envfile.Parse("f", "A", nil); return c, err }, "f:1: there is no =", "NAME=value"},
		{"name", func(c Config) (Config, error) { c.App.Name = "web"; return c, nil }, `name "web": the name cannot change while the app runs (it is api)`, "stop the app"},
		{"hand-off", func(c Config) (Config, error) { c.Handoff = app.HandoffNode; return c, nil }, `handoff "node": the hand-off cannot change`, "stop the app"},
		{"balance", func(c Config) (Config, error) { c.App.Balance = app.BalanceSlots; return c, nil }, `balance "slots": `, "stop the app"},
		{"listeners", func(c Config) (Config, error) {
			c.App.Listeners = []app.Listener{{Name: "web", Network: "tcp", Port: 1}}
			return c, nil
		}, `listen "web=tcp://:1": `, "stop the app"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(c *Config) { c.Reload = test.reload }, me)
			op, err := f.c.Reload(t.Context())
			if err != nil || op.State != api.OperationFailed || !strings.Contains(op.Reason, test.reason) || !strings.Contains(op.Hint, test.hint) {
				t.Errorf("%+v, %v", op, err)
			}
			if f.m.state.Rollout != nil || f.m.state.LastGen != 1 {
				t.Error("a reload has begun")
			}
		})
	}
}

func TestEventsBeginWithEverything(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil, me)
	news := func(n int) {
		f.do(func() {
			for range n {
				f.m.announce(lifecycle.Announce{News: lifecycle.NewsServing, Slot: lifecycle.NoSlot})
			}
		})
	}
	news(3)
	events, err := f.c.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	f.expect(events, api.EventSnapshot, 3)
	news(1)
	f.expect(events, api.EventServing, 4)

	news(2*recentEvents - 4 + 1) // the first ones are forgotten now
	for name, test := range map[string]struct {
		since uint64
		kind  api.EventKind
		want  uint64
	}{
		"nothing missed":     {2*recentEvents + 1, "", 0},
		"one missed":         {2 * recentEvents, api.EventServing, 2*recentEvents + 1},
		"all that is known":  {recentEvents, api.EventServing, recentEvents + 1},
		"too much missed":    {recentEvents - 1, api.EventSnapshot, 2*recentEvents + 1},
		"of another life":    {3 * recentEvents, api.EventSnapshot, 2*recentEvents + 1},
		"before everything ": {0, api.EventSnapshot, 2*recentEvents + 1},
	} {
		since, err := f.c.EventsSince(t.Context(), test.since)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if test.kind != "" {
			f.expect(since, test.kind, test.want)
		}
		since.Close()
	}
}

func (f *fake) expect(events *client.Events, kind api.EventKind, revision uint64) {
	f.t.Helper()
	e, err := events.Next()
	if err != nil || e.Kind != kind || e.Revision != revision || (kind == api.EventSnapshot) != (e.App != nil) {
		f.t.Errorf("got %s %d, %v, want %s %d", e.Kind, e.Revision, err, kind, revision)
	}
}

func TestSlowWatcherIsCutOff(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil, me)
	var w *watcher
	f.do(func() { w = f.m.watch(0, false) })
	f.do(func() {
		for range watcherRoom + 1 {
			f.m.announce(lifecycle.Announce{News: lifecycle.NewsServing, Slot: lifecycle.NoSlot})
		}
	})
	n := 0
	for range w.events {
		n++
	}
	if n != watcherRoom {
		t.Errorf("%d events before the end", n)
	}
	f.do(func() { f.m.unwatch(w) }) // as its handler does
}

func TestOperationsAreForgottenInTheEnd(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil, me)
	f.do(func() {
		for range keptOperations + 1 {
			f.m.succeed(f.m.begin(api.OperationScale))
		}
	})
	if _, err := f.c.Operation(t.Context(), "1", 0); kindIn(err) != api.KindNotFound {
		t.Errorf("got %v", err)
	}
	if op, err := f.c.Operation(t.Context(), "2", time.Minute); err != nil || op.State != api.OperationDone {
		t.Errorf("%+v, %v", op, err)
	}
}

func TestControlSocketIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(testutil.TempDir(t), "s")
	l, err := apiserver.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
