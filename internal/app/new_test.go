package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/app"
)

func TestNewCompletes(t *testing.T) {
	t.Parallel()
	got, err := app.New(app.Spec{Command: []string{"./server.js"}})
	if err != nil {
		t.Fatal(err)
	}
	want := app.App{
		Spec: app.Spec{
			Name: "server", Command: []string{"./server.js"}, Handoff: app.HandoffAuto, HandoffMessage: "server", Balance: app.BalanceAuto,
			Ready: "auto", StartTimeout: app.DefaultStartTimeout, StopTimeout: app.DefaultStopTimeout, StopSignal: "TERM",
			MinUptime: app.DefaultMinUptime, InstanceVar: "NODE_APP_INSTANCE", Surge: 1, ReloadSettle: app.DefaultReloadSettle,
			DrainTimeout: app.DefaultStopTimeout, HealthTimeout: app.DefaultHealthTimeout, CPUAffinity: app.AffinityAll,
			LogFiles: app.LogFilesApp, LogFormat: app.LogFormatText, LogMaxSize: app.DefaultLogMaxSize, LogRotateEvery: app.DefaultLogRotateEvery,
			LogKeep: app.DefaultLogKeep, LogMaxAge: app.DefaultLogMaxAge,
		},
		Listeners: []app.Listener{},
		ReadyBy:   app.Ready{Kind: app.ReadyAuto},
		Signal:    "SIGTERM",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	again, err := app.New(got.Spec)
	if diff := cmp.Diff(got, again); diff != "" || err != nil {
		t.Errorf("completing twice differs: %v %s", err, diff)
	}
}

func TestNewCopies(t *testing.T) {
	t.Parallel()
	n := 3
	spec := app.Spec{Command: []string{"x"}, Listen: []string{":1"}, Env: map[string]string{"A": "1"}, EnvFile: []string{"f"}, MaxRestarts: &n}
	a, err := app.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := json.Marshal(a)
	spec.Command[0], spec.Listen[0], spec.Env["A"], spec.EnvFile[0], n = "y", ":2", "2", "g", 4
	if after, _ := json.Marshal(a); string(before) != string(after) {
		t.Errorf("the app changed with its spec: %s", after)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		command string
		want    string
	}{
		{"server.js", "server"},
		{"/srv/api/server.prod.mjs", "server.prod"},
		{"node server.js", "server"},
		{"node --require ./trace.js dist/main.js", "main"},
		{"python3 -u app.py", "app"},
		{"gunicorn app:app", "gunicorn"},
		{"./my server!", "my"},
		{"npm start", "npm"},
		{"env A=1 B=/x.js node server.js", "server"},
		{"/usr/bin/env NGINX=3; nginx", "nginx"},
		{"env -u A node server.js", "server"},
		{"env A=1", "env"},
		{"all.js", "app"},
		{"...", "app"},
		{"/usr/bin/" + strings.Repeat("x", 70), strings.Repeat("x", 64)},
	}
	for _, test := range tests {
		t.Run(test.command, func(t *testing.T) {
			t.Parallel()
			a, err := app.New(app.Spec{Command: strings.Fields(test.command)})
			if err != nil || a.Name != test.want {
				t.Errorf("got %q, %v; want %q", a.Name, err, test.want)
			}
		})
	}
}

func TestNewErrors(t *testing.T) {
	t.Parallel()
	minus := -1
	tests := []struct {
		name          string
		spec          app.Spec
		message, hint string
	}{
		{"no command", app.Spec{}, "command: is empty", "name a file or a program"},
		{"empty program", app.Spec{Command: []string{""}}, "command: is empty", "name a file or a program"},
		{"NUL in an argument", app.Spec{Command: []string{"x", "a\x00"}}, `command "a\x00": holds a NUL`, ""},
		{"name", app.Spec{Command: []string{"x"}, Name: "my app"}, `name "my app": is not a valid name`, "up to 64 letters"},
		{"name that is a path", app.Spec{Command: []string{"x"}, Name: ".."}, `is not a valid name`, "begins with a letter"},
		{"name that means all", app.Spec{Command: []string{"x"}, Name: "all"}, `means every app`, "another name"},
		{"long name", app.Spec{Command: []string{"x"}, Name: strings.Repeat("x", 65)}, `is not a valid name`, "up to 64"},
		{"workers", app.Spec{Command: []string{"x"}, Workers: "0"}, `workers "0": an app needs at least one worker`, "use --workers max"},
		{"listener", app.Spec{Command: []string{"x"}, Listen: []string{":x"}}, `listen ":x": `, "port"},
		{"hand-off", app.Spec{Command: []string{"x"}, Handoff: "nod"}, `handoff "nod": is not known`, "did you mean node?"},
		{"nothing to hand off", app.Spec{Command: []string{"x"}, Handoff: "inherit"}, `handoff "inherit": there is no listener`, "--listen :3000"},
		{"no message without a listener", app.Spec{Command: []string{"x"}, Handoff: "message"}, `handoff "message": there is no listener`, "--listen :3000"},
		{"listener for nobody", app.Spec{Command: []string{"x"}, Handoff: "none", Listen: []string{":80"}}, `handoff "none": the listener tcp://:80 would reach no worker`, "drop --listen"},
		{"balance", app.Spec{Command: []string{"x"}, Balance: "x"}, `balance "x": is not known`, "auto, slots, shared"},
		{"ready", app.Spec{Command: []string{"x"}, Ready: "http"}, `ready "http": is not known`, "auto, message, notify, tcp, start"},
		{"stop signal", app.Spec{Command: []string{"x"}, StopSignal: "TREM"}, `stop_signal "TREM": is not the name of a signal`, "did you mean TERM?"},
		{"duration", app.Spec{Command: []string{"x"}, StopTimeout: -1}, `stop_timeout "-1ns": must be longer than zero`, "unit"},
		{"restarts", app.Spec{Command: []string{"x"}, MaxRestarts: &minus}, "max_restarts: must not be negative", "never give up"},
		{"starting", app.Spec{Command: []string{"x"}, MaxStarting: -1}, "max_starting: must not be negative", "CPUs"},
		{"env", app.Spec{Command: []string{"x"}, Env: map[string]string{"A=B": ""}}, `env "A=B": is not the name of a variable`, "NAME=value"},
		{"env value", app.Spec{Command: []string{"x"}, Env: map[string]string{"A": "\x00"}}, `env "A": its value holds a NUL`, ""},
		{"instance variable", app.Spec{Command: []string{"x"}, InstanceVar: "A="}, `instance_var "A=": is not the name of a variable`, ""},
		{"placeholder", app.Spec{Command: []string{"x", "{fd.web}"}, Listen: []string{":1"}}, `command "{fd.web}": no listener has that name`, "tcp-1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := app.New(test.spec)
			checkError(t, err, test.message, test.hint)
		})
	}
}

func TestErrorIsShort(t *testing.T) {
	t.Parallel()
	_, err := app.New(app.Spec{Command: []string{"x"}, Name: strings.Repeat("\n", 1<<20)})
	checkError(t, err, `\n"…: is not a valid name`, "up to 64")
	if len(err.Error()) > 300 {
		t.Errorf("%d bytes", len(err.Error()))
	}
}

func TestParseWorkers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in         string
		cpus, want int
	}{
		{"4", 2, 4}, {"1", 8, 1}, {"10000", 1, 10000}, {" 3 ", 1, 3},
		{"max", 8, 8}, {"auto", 3, 3}, {"MAX", 2, 2}, {"max", 0, 1},
		{"50%", 8, 4}, {"50%", 3, 2}, {"50%", 1, 1}, {"1%", 8, 1}, {"100%", 6, 6}, {"150%", 2, 3}, {"33%", 2, 1},
		{"-1", 8, 7}, {"-1", 1, 1}, {"-9", 8, 1},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			t.Parallel()
			if got, err := app.ParseWorkers(test.in, test.cpus); err != nil || got != test.want {
				t.Errorf("%q of %d: got %d, %v; want %d", test.in, test.cpus, got, err, test.want)
			}
		})
	}
}

func TestParseWorkersErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, message, hint string }{
		{"", "is not a number of workers", `"max"`},
		{"many", `workers "many": is not a number of workers`, `"max"`},
		{"2.5", "is not a number of workers", `"50%"`},
		{"+1", "is not a number of workers", `"-1"`},
		{"%", `workers "%": is not`, `"50%"`},
		{"0", "at least one worker", "use --workers max"},
		{"0%", "at least one worker", "use --workers max"},
		{"-0", "at least one worker", "use --workers max"},
		{"--1", "is not a number of workers", `"-1"`},
		{"10001", "is more than 10000", "write a number"},
		{"2000000000%", "is more than 10000", "write a number"},
		{"99999999999999999999", "is not a number of workers", "write a number"},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			t.Parallel()
			_, err := app.ParseWorkers(test.in, 4)
			checkError(t, err, test.message, test.hint)
		})
	}
}

func TestParseSignal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"TERM": "SIGTERM", "SIGTERM": "SIGTERM", "sigterm": "SIGTERM", "15": "SIGTERM", "usr2": "SIGUSR2", "2": "SIGINT", "WINCH": "SIGWINCH"} {
		if got, err := app.ParseSignal(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	tests := []struct{ in, message, hint string }{
		{"", "is not the name of a signal", "TERM"},
		{"FOO", `stop_signal "FOO": is not the name of a signal`, "most programs"},
		{"QIUT", "is not the name of a signal", "did you mean QUIT?"},
		{"STOP", "does not ask a program to stop", "most programs"},
		{"10", "is not the name of a signal", "most programs"},
	}
	for _, test := range tests {
		_, err := app.ParseSignal(test.in)
		checkError(t, err, test.message, test.hint)
	}
}

func TestParseReady(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]app.ReadyKind{"": app.ReadyAuto, "auto": app.ReadyAuto, "message": app.ReadyMessage, "start": app.ReadyStart} {
		if got, err := app.ParseReady(in); err != nil || got.Kind != want {
			t.Errorf("%q: got %v, %v", in, got, err)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	words := []string{"workers", "listen", "name", "env"}
	for in, want := range map[string]string{"worker": "workers", "wrokers": "workers", "lisen": "listen", "evn": "env", "nmae": "name", "xyz": "", "": ""} {
		if got, _ := app.Nearest(in, words); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
