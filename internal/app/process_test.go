package app_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/app"
)

func TestLimitsOfProcesses(t *testing.T) {
	t.Parallel()
	a, err := app.New(app.Spec{
		Command: []string{"x"}, Umask: "027", CPUs: "4,0-2,1", Listen: []string{"unix:/x"}, ListenMode: "0o660",
		Limits: map[string]string{"nofile": "1024:4096", "core": "unlimited", "as": "2G", "nproc": "64:infinity"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []app.Rlimit{
		{Name: "as", Soft: 2 << 30, Hard: 2 << 30}, {Name: "core", Soft: app.Unlimited, Hard: app.Unlimited},
		{Name: "nofile", Soft: 1024, Hard: 4096}, {Name: "nproc", Soft: 64, Hard: app.Unlimited},
	}
	if diff := cmp.Diff(want, a.Rlimits); diff != "" {
		t.Error(diff)
	}
	if *a.UmaskBits != 0o27 || *a.ListenBits != 0o660 || !cmp.Equal(a.CPUSet, []int{0, 1, 2, 4}) {
		t.Errorf("umask %o, mode %o, CPUs %v", *a.UmaskBits, *a.ListenBits, a.CPUSet)
	}
}

func TestLimitsOfGroups(t *testing.T) {
	t.Parallel()
	a, err := app.New(app.Spec{
		Command: []string{"x"}, WorkerLimits: map[string]string{"memory": "512M", "cpu": "50%"}, AppLimits: map[string]string{"tasks": "300", "cpu": "1.5", "memory": "512M"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := a.PerWorker, (app.GroupLimits{Memory: 512 << 20, CPU: 500}); got != want {
		t.Errorf("of a worker %+v, want %+v", got, want)
	}
	if got, want := a.Together, (app.GroupLimits{Memory: 512 << 20, CPU: 1500, Tasks: 300}); got != want {
		t.Errorf("of the app %+v, want %+v", got, want)
	}
}

func TestLimitsThatAreRefused(t *testing.T) {
	t.Parallel()
	number := 20
	tests := []struct {
		spec    app.Spec
		message string
		hint    string
	}{
		{app.Spec{Limits: map[string]string{"nofiles": "1"}}, `limits "nofiles": there is no such limit`, "did you mean nofile?"},
		{app.Spec{Limits: map[string]string{"quux": "1"}}, `limits "quux": there is no such limit`, "the limits are as, core,"},
		{app.Spec{Limits: map[string]string{"nofile": "1K"}}, `limits.nofile "1K": is not a limit`, "SOFT:HARD"},
		{app.Spec{Limits: map[string]string{"nofile": "-1"}}, `limits.nofile "-1": is not a limit`, "SOFT:HARD"},
		{app.Spec{Limits: map[string]string{"core": "2:1"}}, `limits.core "2:1": the soft limit is above the hard one`, "SOFT:HARD"},
		{app.Spec{WorkerLimits: map[string]string{"memory": "lots"}}, `worker_limits.memory "lots": is not a size`, "512M"},
		{app.Spec{WorkerLimits: map[string]string{"cpu": "0"}}, `worker_limits.cpu "0": is less than the kernel can share out, 1% of a CPU`, "50%"},
		{app.Spec{AppLimits: map[string]string{"tasks": "0"}}, `app_limits.tasks "0": is not a number of processes and threads`, "200"},
		{app.Spec{AppLimits: map[string]string{"pids": "9"}}, `app_limits "pids": there is no such limit`, "did you mean tasks?"},
		{app.Spec{AppLimits: map[string]string{"memroy": "9"}}, `app_limits "memroy": there is no such limit`, "did you mean memory?"},
		{app.Spec{WorkerLimits: map[string]string{"nofile": "9"}}, `worker_limits "nofile": there is no such limit`, "limits.nofile"},
		{app.Spec{WorkerLimits: map[string]string{"memory": "2G"}, AppLimits: map[string]string{"memory": "1G"}}, `worker_limits.memory "2G": is more than all workers have together`, "app_limits.memory is 1G"},
		{app.Spec{WorkerLimits: map[string]string{"cpu": "2"}, AppLimits: map[string]string{"cpu": "50%"}}, `worker_limits.cpu "2": is more than all workers have together`, "app_limits.cpu is 0.5"},
		{app.Spec{Umask: "8"}, `umask "8": is not a mode`, "octal"},
		{app.Spec{Umask: "1000"}, `umask "1000": is not a mode`, "octal"},
		{app.Spec{ListenMode: "rw"}, `listen_mode "rw": is not a mode`, "octal"},
		{app.Spec{ListenMode: "660", Handoff: app.HandoffNone}, `listen_mode "660": there is no listener that it could be for`, "--listen"},
		{app.Spec{CPUs: "3-1"}, `cpus "3-1": is not a list of CPUs`, "0-3,6"},
		{app.Spec{CPUs: "0-99999"}, `cpus "0-99999": is not a list of CPUs`, "0-3,6"},
		{app.Spec{CPUAffinity: "some"}, `cpu_affinity "some": is not known`, "all, spread"},
		{app.Spec{Nice: &number}, `nice "20": is out of range`, "-20"},
		{app.Spec{User: "www:www"}, `user "www:www": is not the name of a user`, "write user: www and group: www"},
		{app.Spec{Group: "a b"}, `group "a b": is not a name`, "number"},
	}
	for _, tt := range tests {
		tt.spec.Command = []string{"x"}
		_, err := app.New(tt.spec)
		e, ok := errors.AsType[*app.Error](err)
		if !ok || e.Error() != tt.message || !strings.Contains(e.Hint, tt.hint) {
			t.Errorf("got %v, want %s (%s)", err, tt.message, tt.hint)
		}
	}
}

func TestCPUTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]app.CPUTime{"1.5": 1500, "50%": 500, "2": 2000, " 0.01 ": 10, "150%": 1500} {
		got, err := app.ParseCPUTime(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "%", "x", "0", "0.001", "-1", "1e3", "9999999"} {
		if got, err := app.ParseCPUTime(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
	var read struct{ A, B, C app.CPUTime }
	if err := json.Unmarshal([]byte(`{"A": 1.5, "B": "25%", "C": null}`), &read); err != nil || read.A != 1500 || read.B != 250 || read.C != 0 {
		t.Errorf("%+v, %v", read, err)
	}
	if text, err := json.Marshal(read); string(text) != `{"A":"1.5","B":"0.25","C":""}` || err != nil {
		t.Errorf("%s, %v", text, err)
	}
}
