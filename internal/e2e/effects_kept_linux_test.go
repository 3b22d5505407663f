package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/fdstore"
	"github.com/musterd/muster/internal/notify"
	"github.com/musterd/muster/internal/testutil"
)

// relay is the scenario of play with a warden: after the master that was killed the next one goes on.
type relay struct {
	*warden
	file    string // that has a line for each effect
	ready   atomic.Bool
	command *testutil.Running // that was under way when the master ended; nil: none was
}

func newRelay(t *testing.T, handoff string) *relay {
	t.Helper()
	addr := hostPort(testutil.Port(t))
	r := &relay{warden: newWarden(t)}
	r.addr, r.path, r.file = addr, testutil.MusterWithEffects(t), filepath.Join(r.dir, "effects")
	r.args = r.fickle(2, "--handoff", handoff, "--spares", "1", "--reload-settle", "1ms", "--min-uptime", "1ms", "--max-starting", "4").Args
	for i, arg := range r.args {
		if arg == "127.0.0.1:0" {
			r.args[i] = addr
		}
	}
	r.store.Close()
	var err error
	if r.store, err = fdstore.New(filepath.Join(r.dir, "n2"), fdstore.DefaultMax, func(m notify.Message) {
		if m.Ready {
			r.ready.Store(true)
		}
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.store.Close)
	return r
}

// start runs a master that kills itself after so many effects, unless that is zero.
func (r *relay) start(killAfter int) {
	r.t.Helper()
	r.ready.Store(false)
	r.env = []string{"GORACE=atexit_sleep_ms=0"}
	if killAfter > 0 {
		r.env = append(r.env, "MUSTER_EFFECTS="+r.file, fmt.Sprint("MUSTER_KILL_AFTER=", killAfter))
	}
	r.begin()
}

// effects are those that were carried out so far.
func (r *relay) effects() []string {
	r.t.Helper()
	text, err := os.ReadFile(r.file)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// comes waits for the moment; it is false if the master ends before.
func (r *relay) comes(what string, cond func() bool) bool {
	r.t.Helper()
	ended := false
	poll(r.t, what, func() bool {
		ended = r.master.Ended()
		return ended || cond()
	})
	return !ended
}

// scenario goes on for as long as the master lives. It tells whether the app was told to stop.
func (r *relay) scenario() (stopping bool) {
	does := func(args ...string) func() bool {
		return func() bool { return r.does(0, args...) }
	}
	for _, step := range []func() bool{
		func() bool {
			return r.comes("the start", func() bool { a, ok := r.shown(); return ok && a.State == api.AppServing })
		},
		does("reload", "site"),
		r.crash,
		does("scale", "site", "+1"),
		does("scale", "site", "-1"),
		does("upgrade", "site"),
		r.crash, // under the new image
		func() bool {
			r.release("crashes")
			return r.does(1, "reload", "site")
		},
	} {
		if !step() {
			return false
		}
	}
	r.does(0, "stop", "site")
	return true
}

// does runs a command that has to end with that code, unless the master ends before: then it is left running.
func (r *relay) does(code int, args ...string) bool {
	r.t.Helper()
	c := testutil.Start(r.t, testutil.Command{Args: args, Dir: r.dir, Env: []string{"MUSTER_HOME=" + r.home}})
	if r.comes("the end of muster "+args[0], c.Ended); !c.Ended() {
		r.command = c
		return false
	}
	return c.WaitExit().ExitCode() == code && !r.master.Ended()
}

// shown is the app as its master tells it; false without one.
func (r *relay) shown() (api.App, bool) { return shownBy(r.site) }

// crash kills a worker that serves, and waits for its successor.
func (r *relay) crash() bool {
	a, ok := r.shown()
	if !ok {
		return false
	}
	pid := servingIn(a)
	if pid == 0 || syscall.Kill(pid, syscall.SIGKILL) != nil {
		return false
	}
	return r.comes("the respawn", func() bool {
		now, ok := r.shown()
		return ok && now.Respawns > a.Respawns && now.State == api.AppServing
	})
}

// TestGoesOnAfterEachEffect: the master may be killed at any moment, and the next one finishes what it had begun, says so to who keeps its
// descriptors, and stops in order.
func TestGoesOnAfterEachEffect(t *testing.T) {
	t.Parallel()
	for _, handoff := range []string{"node", "inherit"} {
		t.Run(handoff, func(t *testing.T) {
			t.Parallel()
			relayEachEffect(t, handoff)
		})
	}
}

// relayEachEffect plays the scenario once with one master, then again and again with two, the second after one effect more each time.
func relayEachEffect(t *testing.T, handoff string) {
	whole := newRelay(t, handoff)
	whole.start(1 << 30)
	whole.scenario()
	if exit := whole.ends(); !exit.Success() {
		t.Fatalf("the scenario ended with %v", exit)
	}
	effects := whole.effects()
	t.Logf("%d effects", len(effects))
	for n := 1; n <= len(effects); n++ {
		kind, _, _ := strings.Cut(effects[n-1], "{")
		t.Run(fmt.Sprint(n, " ", kind), func(t *testing.T) {
			r := newRelay(t, handoff)
			r.start(n)
			stopping := r.scenario()
			if exit := r.ends(); exit.Signal != syscall.SIGKILL {
				t.Skipf("the scenario ended before, with %v", exit)
			}
			r.release("one")
			r.start(0)
			r.finishes(stopping)
		})
	}
}

// finishes requires that the app serves and has nothing left to do, or that it ends where it was told to stop.
func (r *relay) finishes(stopping bool) {
	r.t.Helper()
	var a api.App
	if r.comes("the end of all that was begun", func() bool {
		var ok bool
		a, ok = r.shown()
		return ok && settled(a) && r.ready.Load() && (r.command == nil || r.command.Ended())
	}) {
		r.requireRelease("one")
		for _, op := range a.Operations {
			if serves := op.Generation > 0 && op.Generation <= a.Generation; op.Kind == api.OperationReload && serves != (op.State == api.OperationDone) {
				r.t.Errorf("generation %d serves, and of generation %d is said: %s", a.Generation, op.Generation, op.State)
			}
		}
		r.stops()
		return
	}
	if exit := r.ends(); !stopping || !exit.Success() {
		r.t.Fatalf("the next master ended with %v, the app as it was last: %+v", exit, a)
	}
	if err := r.store.Settle(r.ctx); err != nil {
		r.t.Fatal(err)
	}
	if left := r.store.Kept(); len(left) > 0 {
		r.t.Errorf("kept after the end: %v", left)
	}
}

// settled tells whether an app serves and does nothing else.
func settled(a api.App) bool {
	for _, op := range a.Operations {
		if op.State == api.OperationRunning {
			return false
		}
	}
	return a.State == api.AppServing
}

// exitUnknown is the code of a master that cannot know how its last worker ended: nobody says then that it has succeeded.
const exitUnknown = 5

var unknownExit = regexp.MustCompile(`exit=(unknown|"the master was killed while it was being started") `)

// TestEndsAfterEachEffect: an app that ends by itself ends as if its master had not been killed, whatever was left to be told of it.
func TestEndsAfterEachEffect(t *testing.T) {
	t.Parallel()
	for name, app := range map[string]struct {
		args []string
		code int
		log  string
	}{
		"completes": {[]string{"--job", "--", "sh", "-c", "exit 0"}, 0, "completed"},
		"fails":     {[]string{"--job", "--max-restarts", "2", "--", "sh", "-c", "exit 7"}, 7, "completed"},
		"gives up":  {[]string{"-i", "1", "--handoff", "none", "--max-restarts", "2", "--", "sh", "-c", "exit 7"}, 7, "gave up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := func(t *testing.T, killAfter int) *relay {
				t.Helper()
				r := newRelay(t, "none")
				r.args = append([]string{"run", "--name", "site"}, app.args...)
				r.start(killAfter)
				return r
			}
			ends := func(r *relay) {
				r.t.Helper()
				exit, log := r.ends(), r.text()
				known := exit.Code == app.code || exit.Code == exitUnknown && unknownExit.MatchString(log)
				if exit.Signal != 0 || !known || !strings.Contains(log, app.log) {
					r.t.Errorf("the master ended with %v, want %d and %q", exit, app.code, app.log)
				}
				if err := r.store.Settle(r.ctx); err != nil {
					r.t.Fatal(err)
				}
				if left := r.store.Kept(); len(left) > 0 {
					r.t.Errorf("kept after the end: %v", left)
				}
			}
			whole := start(t, 1<<30)
			ends(whole)
			effects := whole.effects()
			for n := range effects {
				t.Run(fmt.Sprint(n+1), func(t *testing.T) {
					r := start(t, n+1)
					if exit := r.ends(); exit.Signal != syscall.SIGKILL {
						t.Skipf("it ended before, with %v", exit)
					}
					r.start(0)
					ends(r)
				})
			}
		})
	}
}

// TestKilledWhileItGivesAll: a master that was killed with its daemon is followed by one that takes back what the workers hold, and gives it to
// the new daemon. That one may be killed after each piece: the workers stay the same, and serve.
func TestKilledWhileItGivesAll(t *testing.T) {
	t.Parallel()
	for _, handoff := range []string{"node", "inherit"} {
		t.Run(handoff, func(t *testing.T) {
			t.Parallel()
			r := newRelay(t, handoff)
			r.start(0)
			r.serves(2)
			before, seen := r.pids(), r.crowd()
			for n, killed := 1, true; killed; n++ {
				r.kill()
				r.store.Clear()
				_ = os.Remove(r.file)
				r.start(n)
				killed = !r.comes("the next master", func() bool { return r.ready.Load() && r.site.command("show", "site").code == 0 })
				if killed {
					r.ends()
					r.start(0)
				}
				r.serves(2)
				if after := r.pids(); after != before {
					t.Fatalf("killed after %q: the workers were %q and are %q", r.effects(), before, after)
				}
			}
			t.Logf("killed after each of %q", r.effects())
			r.kill() // it would kill itself at the next effect
			r.start(0)
			r.serves(2)
			r.requireOnlyLostIn(nil, seen()...)
			r.stops()
		})
	}
}
