package cli

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/app"
	"github.com/spf13/pflag"
)

func specSet() (*pflag.FlagSet, *app.Spec) {
	var spec app.Spec
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	specFlags(set, &spec)
	return set, &spec
}

// TestEveryFieldIsAFlag keeps struct and flag set one thing.
func TestEveryFieldIsAFlag(t *testing.T) {
	t.Parallel()
	set, _ := specSet()
	var fields, flags []string
	for field := range reflect.TypeFor[app.Spec]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "command" {
			fields = append(fields, strings.ReplaceAll(name, "_", "-"))
		}
	}
	set.VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
	slices.Sort(fields)
	slices.Sort(flags)
	if diff := cmp.Diff(fields, flags); diff != "" {
		t.Error(diff)
	}
}

func TestFlagsFillTheSpec(t *testing.T) {
	t.Parallel()
	set, got := specSet()
	args := []string{
		"--name", "shop", "-i", "50%", "-l", ":1", "--listen=web=:2", "--handoff", "message", "--handoff-message", "m", "--balance", "shared",
		"--ready", "tcp", "--start-timeout", "5s", "--stop-timeout", "1500", "--stop-signal", "INT", "--stop-message", "bye", "--env", "A=1,2",
		"--env", "B=", "--env", "C=x=y", "--env-file", "a,b", "--env-file", "c", "--cwd", "/srv", "--max-restarts", "0", "--min-uptime", "1m",
		"--max-starting", "2", "--instance-var", "I",
	}
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	zero := 0
	want := app.Spec{
		Name: "shop", Workers: "50%", Listen: []string{":1", "web=:2"}, Handoff: app.HandoffMessage, HandoffMessage: "m", Balance: app.BalanceShared,
		Ready: "tcp", StartTimeout: app.Duration(5 * time.Second), StopTimeout: app.Duration(1500 * time.Millisecond), StopSignal: "INT", StopMessage: "bye",
		Env: map[string]string{"A": "1,2", "B": "", "C": "x=y"}, EnvFile: []string{"a,b", "c"}, Cwd: "/srv", MaxRestarts: &zero,
		MinUptime: app.Duration(time.Minute), MaxStarting: 2, InstanceVar: "I",
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Error(diff)
	}
}

// TestNoFlagsMeanDefaults: what help shows as a default is what New completes.
func TestNoFlagsMeanDefaults(t *testing.T) {
	t.Parallel()
	set, spec := specSet()
	if err := set.Parse(nil); err != nil {
		t.Fatal(err)
	}
	spec.Command = []string{"x"}
	got, err := app.New(*spec)
	if err != nil {
		t.Fatal(err)
	}
	want, err := app.New(app.Spec{Command: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	shown := map[string]string{
		"handoff": string(want.Handoff), "balance": string(want.Balance), "start-timeout": want.StartTimeout.String(),
		"stop-timeout": want.StopTimeout.String(), "min-uptime": want.MinUptime.String(), "stop-signal": want.StopSignal,
	}
	for name, value := range shown {
		if f := set.Lookup(name); f.DefValue != value {
			t.Errorf("--%s shows %q, the default is %q", name, f.DefValue, value)
		}
	}
}

func TestDemoAddress(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		":3000": ":{port}", "127.0.0.1:0": "127.0.0.1:{port}", "web=[::1]:80": "[::1]:{port}", "unix:/run/x.sock": "unix:/run/x.sock",
	} {
		if got, err := demoAddress(line); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", line, got, err, want)
		}
	}
	if _, err := demoAddress(":x"); err == nil {
		t.Error("no error for :x")
	}
}

func TestAPipeHasNoColors(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	if (&output{format: "text", stdout: w}).color() {
		t.Error("colors for a pipe")
	}
}
