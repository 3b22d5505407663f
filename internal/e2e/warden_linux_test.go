package e2e

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/internal/fdstore"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/stage"
	"github.com/musterd/muster/internal/testutil"
)

// warden keeps the descriptors of muster run, as a service manager does, and starts the next master when one has ended.
type warden struct {
	*site
	path    string // of the binary
	args    []string
	env     []string
	store   *fdstore.Store
	spawner *proc.Spawner
	log     *os.File // of all masters and workers
	master  *proc.Process
}

// newWarden makes a warden for muster run with these arguments; nothing runs yet. At the end no process may be left.
func newWarden(t *testing.T, args ...string) *warden {
	t.Helper()
	s := &site{t: t, ctx: testutil.Context(t), home: testutil.TempDir(t), dir: testutil.TempDir(t)}
	testutil.Sweep(t, "MUSTER_HOME="+s.home)
	s.release("one")
	w := &warden{site: s, path: testutil.Muster(t), args: args, spawner: proc.NewSpawner(slog.New(slog.DiscardHandler))}
	t.Cleanup(w.spawner.Close)
	var err error
	if w.store, err = fdstore.New(filepath.Join(s.dir, "n"), fdstore.DefaultMax, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.store.Close)
	if w.log, err = os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if w.master != nil {
			w.kill()
		}
		if t.Failed() {
			t.Logf("log:\n%s", w.text())
		}
		_ = w.log.Close()
	})
	return w
}

func (w *warden) text() string {
	text, _ := os.ReadFile(w.log.Name())
	return string(text)
}

// begin starts a master with all that is kept.
func (w *warden) begin() {
	w.t.Helper()
	if err := w.store.Settle(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	out := int(w.log.Fd())
	spec := proc.Spec{Doc: stage.Doc{Path: w.path, Argv: append([]string{"muster"}, w.args...), Dir: w.dir}, Stdout: out, Stderr: out, Leave: true, Exe: w.path}
	for _, k := range w.store.Kept() {
		spec.Files, spec.Doc.ListenNames = append(spec.Files, k.FD), append(spec.Doc.ListenNames, k.Name)
	}
	spec.Doc.ListenFDs = len(spec.Files)
	spec.Doc.Env = slices.Concat(os.Environ(), w.env, []string{"MUSTER_HOME=" + w.home, "NOTIFY_SOCKET=" + w.store.Path(), "MUSTER_STORE=1"})
	p, err := w.spawner.Start(w.ctx, spec)
	if err != nil {
		w.t.Fatal(err)
	}
	w.master = p
}

// ends waits for the end of the master.
func (w *warden) ends() proc.Exit {
	exit := w.master.Wait()
	_ = w.master.Close()
	w.master = nil
	return exit
}

func (w *warden) kill() {
	_ = w.master.Signal(syscall.SIGKILL)
	w.ends()
}

// serves waits until that many slots are served.
func (w *warden) serves(slots int) {
	w.t.Helper()
	poll(w.t, fmt.Sprint(slots, " slots served"), func() bool {
		r := w.command("show", "--json", "site")
		return r.code == 0 && strings.Contains(r.stdout, fmt.Sprintf(`"serving": %d`, slots))
	})
}

// stops ends the app in order: nothing is left, nor kept.
func (w *warden) stops() {
	w.t.Helper()
	w.require(0, "stopped site", "stop", "site")
	if exit := w.ends(); !exit.Success() {
		w.t.Errorf("the last master ended with %v", exit)
	}
	if err := w.store.Settle(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	if left := w.store.Kept(); len(left) > 0 {
		w.t.Errorf("kept after the end: %v", left)
	}
}

// wardenOf keeps two workers of that kind.
func wardenOf(t *testing.T, kind reloader) *warden {
	t.Helper()
	addr := hostPort(testutil.Port(t))
	w := newWarden(t, append([]string{"run", "--name", "site", "-i", "2", "-l", addr, "--reload-settle", "50ms"}, kind.command(t)...)...)
	w.addr = addr
	for name, text := range kind.files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// moment waits for a random part of d.
func moment(rng *rand.Rand, d time.Duration) {
	timer := time.NewTimer(time.Duration(rng.Int64N(int64(d))))
	<-timer.C
}

// TestMastersKilledAtRandomMomentsLoseNothing: also while they take over what the one before has left. The workers stay the same processes.
func TestMastersKilledAtRandomMomentsLoseNothing(t *testing.T) {
	t.Parallel()
	const kills = 25
	for _, kind := range reloaders() {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			w := wardenOf(t, kind)
			rng := testutil.Rand(t)
			w.begin()
			w.serves(2)
			before := w.pids()
			seen := w.crowd()
			for range kills {
				moment(rng, 400*time.Millisecond)
				w.kill()
				w.begin()
			}
			w.serves(2)
			if after := w.pids(); after != before {
				t.Errorf("the workers were %q and are %q", before, after)
			}
			w.requireOnlyLostIn(nil, seen()...)
			w.stops()
		})
	}
}

// TestDeathInTheGapIsReplacedOnce: a worker that ends while there is no master has one successor, in its slot; the others stay.
func TestDeathInTheGapIsReplacedOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range reloaders() {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			w := wardenOf(t, kind)
			w.begin()
			w.serves(2)
			for round := 1; round <= 3; round++ {
				before := strings.Fields(w.pids())
				victim, err := strconv.Atoi(before[0])
				if err != nil {
					t.Fatal(err)
				}
				w.kill()
				if kind.name == "gunicorn" {
					killGroup(t, victim)
				} else {
					killAndAwait(t, victim)
				}
				w.begin()
				poll(t, "the respawn", func() bool { return w.state().Respawns == round && w.state().Serving == 2 })
				after := strings.Fields(w.pids())
				if after[1] != before[1] && after[0] != before[1] || slices.Contains(after, before[0]) {
					t.Errorf("round %d: %d was killed; the workers were %v and are %v", round, victim, before, after)
				}
			}
			w.stops()
		})
	}
}

// killGroup kills a worker with the processes of its own.
func killGroup(t *testing.T, leader int) {
	t.Helper()
	if err := syscall.Kill(-leader, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// TestPanicOfTheMasterTakesNobody: a fault of the master's own is no reason for its workers to end.
func TestPanicOfTheMasterTakesNobody(t *testing.T) {
	t.Parallel()
	w := wardenOf(t, reloaders()[1])
	w.path = testutil.MusterWithEffects(t)
	effects := filepath.Join(w.dir, "effects")
	w.env = []string{"MUSTER_EFFECTS=" + effects}
	w.begin()
	w.serves(2)
	before := w.pids()
	seen := w.crowd()
	lines := func() int {
		text, err := os.ReadFile(effects)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "\n")
	}
	first := lines()
	w.kill()
	w.begin()
	w.serves(2)
	second := lines() // what a master keeps when it goes on
	w.kill()
	w.env = append(w.env, fmt.Sprint("MUSTER_PANIC_AFTER=", second+second-first+1))
	w.begin()
	_ = w.command("scale", "site", "+1") // its first effect is the last one of this master
	if exit := w.ends(); exit.Code != 2 || !strings.Contains(w.text(), "as the test wants") {
		t.Fatalf("the master ended with %v", exit)
	}
	w.begin()
	w.serves(3)
	for pid := range strings.FieldsSeq(before) {
		if after := w.pids(); !slices.Contains(strings.Fields(after), pid) {
			t.Errorf("the workers were %q and are %q", before, after)
		}
	}
	w.requireOnlyLostIn(nil, seen()...)
	w.stops()
}
