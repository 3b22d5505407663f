package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// With --ready message a worker is ready when it says so, though it listens and answers before.
func TestNodeReadyByMessage(t *testing.T) {
	t.Parallel()
	onNode(t, corners, func(t *testing.T, major int) {
		t.Parallel()
		r := runNode(t, major, "-i", "1", "--ready", "message", fixture("app.js"))
		r.WaitLine(`listening listener=`)
		r.load(load.Options{Count: 20, NewConnPerRequest: true, Timeout: testutil.Patience})
		if out := r.Output(); strings.Contains(out, "worker ready") || strings.Contains(out, "serving") {
			t.Errorf("ready before it said so:\n%s", out)
		}
		r.ask("/ready")
		r.WaitLine(`worker ready slot=0 worker=1`)
		r.serving(1)
		r.stopClean()
	})
}

func TestNodeNeverReady(t *testing.T) {
	t.Parallel()
	onNode(t, corners, func(t *testing.T, major int) {
		t.Parallel()
		r := runNode(t, major, "-i", "1", "--ready", "message", "--start-timeout", "2s", fixture("app.js"))
		r.WaitLine(`error: worker not ready in time slot=0 worker=1 after=2s`)
		r.WaitLine(`worker exited slot=0 worker=1 .*reason="not ready" retry_in=`)
		r.WaitLine(`worker started slot=0 worker=2`)
		r.stopClean()
	})
}

func TestNodeStopMessage(t *testing.T) {
	t.Parallel()
	onNode(t, corners, func(t *testing.T, major int) {
		t.Parallel()
		r := runNode(t, major, "-i", "2", "--stop-message", "shutdown", fixture("app.js"))
		r.serving(2)
		r.stopClean()
		r.WaitLines(0, 2, `told to shut down`)
		r.WaitLines(0, 2, `worker exited .*exit="exit status 0".*reason=stop`)
	})
}

// env is what a worker finds in its environment.
func (r *nodeRun) env() map[string]string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(testutil.Context(r.t), http.MethodGet, "http://"+r.addr+"/env", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	env := map[string]string{}
	if err := json.Unmarshal(body, &env); err != nil {
		r.t.Fatalf("%s: %v", body, err)
	}
	return env
}

// envs asks until each of the workers has told its environment, and returns these by the value of a variable.
func (r *nodeRun) envs(key string, workers int) map[string]map[string]string {
	r.t.Helper()
	all := map[string]map[string]string{}
	for ctx := testutil.Context(r.t); len(all) < workers && ctx.Err() == nil; {
		env := r.env()
		all[env[key]] = env
	}
	return all
}

// Nothing of a manager above reaches a worker, nor of the channel that Node takes for itself; what muster promises does.
func TestNodeEnvironment(t *testing.T) {
	t.Parallel()
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		t.Parallel()
		above := []string{
			"NODE_CHANNEL_FD=5", "NODE_CHANNEL_SERIALIZATION_MODE=advanced", "NODE_UNIQUE_ID=9", "NOTIFY_SOCKET=/none/notify",
			"LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=a:b", "WATCHDOG_USEC=1000000", "WATCHDOG_PID=1", "FDSTORE=1",
			"MUSTER_ID=77", "MUSTER_SLOT=77", "NODE_APP_INSTANCE=77",
		}
		port := testutil.Port(t)
		r := runNodeOn(t, major, 0, above, "-i", "2", "-l", hostPort(port), fixture("app.js"))
		r.addr = hostPort(port)
		r.serving(2)
		for slot, env := range r.envs("MUSTER_SLOT", 2) {
			for _, name := range []string{
				"NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
				"WATCHDOG_USEC", "WATCHDOG_PID", "FDSTORE",
			} {
				if value, ok := env[name]; ok {
					t.Errorf("%s=%s reached the worker", name, value)
				}
			}
			want := map[string]string{"PORT": fmt.Sprint(port), "NODE_APP_INSTANCE": slot, "MUSTER_APP": "x", "MUSTER_LISTEN": "tcp4://" + hostPort(port)}
			for name, value := range want {
				if env[name] != value {
					t.Errorf("%s=%s, want %s", name, env[name], value)
				}
			}
			if slot != "0" && slot != "1" || env["NOTIFY_SOCKET"] == "/none/notify" || env["MUSTER_ID"] == "77" {
				t.Errorf("slot %s, notify socket %s, worker %s", slot, env["NOTIFY_SOCKET"], env["MUSTER_ID"])
			}
		}
		r.stopClean()
	})
}

// A worker keeps the number of the one that it replaces, under the name that the app gives it.
func TestNodeInstanceNumber(t *testing.T) {
	t.Parallel()
	onNode(t, corners, func(t *testing.T, major int) {
		t.Parallel()
		r := runNode(t, major, "-i", "3", "--instance-var", "SEAT", fixture("app.js"))
		r.serving(3)
		before := r.envs("SEAT", 3)
		for _, pid := range r.Workers()[:2] {
			mark := r.Mark()
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			r.WaitLines(mark, 1, `serving workers=3`)
		}
		after := r.envs("SEAT", 3)
		replaced := 0
		for _, seat := range []string{"0", "1", "2"} {
			if before[seat] == nil || after[seat] == nil {
				t.Fatalf("seat %s: before %v, after %v", seat, before[seat], after[seat])
			}
			if before[seat]["MUSTER_ID"] != after[seat]["MUSTER_ID"] {
				replaced++
			}
		}
		if replaced != 2 {
			t.Errorf("%d workers are new, want 2", replaced)
		}
		r.stopClean()
	})
}
