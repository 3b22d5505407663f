package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/testutil"
)

// play is a run of muster through a scenario in which everything happens to it that can, each thing once. Its master may be killed after any
// effect: then the rest of the scenario does not happen.
type play struct {
	*site
	handoff string
	port    int
	file    string // that has a line for each effect
}

func newPlay(t *testing.T, handoff string) *play {
	t.Helper()
	p := &play{site: &site{t: t, home: testutil.TempDir(t), dir: testutil.TempDir(t)}, handoff: handoff, port: testutil.Port(t)}
	p.addr, p.file = hostPort(p.port), filepath.Join(p.dir, "effects")
	p.release("one")
	return p
}

// start runs muster; it kills itself after so many effects, unless that is zero. The unix socket is nobody's: it is there to be left behind.
func (p *play) start(killAfter int) {
	p.t.Helper()
	c := p.fickle(2, "-l", "unix:"+filepath.Join(p.dir, "s"), "--handoff", p.handoff, "--spares", "1", "--reload-settle", "1ms", "--min-uptime", "1ms",
		"--max-starting", "4")
	for i, arg := range c.Args {
		if arg == "127.0.0.1:0" {
			c.Args[i] = p.addr
		}
	}
	c.Path = testutil.MusterWithEffects(p.t)
	c.Env = append(c.Env, "MUSTER_EFFECTS="+p.file, "MUSTER_KILL_AFTER="+strconv.Itoa(killAfter))
	p.run = testutil.Start(p.t, c)
}

// effects are those so far.
func (p *play) effects() []string {
	p.t.Helper()
	text, err := os.ReadFile(p.file)
	if err != nil && !os.IsNotExist(err) {
		p.t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// scenario goes on for as long as the master lives, which each of its steps tells.
func (p *play) scenario() {
	does := func(args ...string) func() bool {
		return func() bool { return p.command(args...).code == 0 }
	}
	for _, step := range []func() bool{
		func() bool { return p.run.SeesLine(0, `serving workers=2$`) },
		does("reload", "site"),
		p.crash,
		does("scale", "site", "+1"),
		does("scale", "site", "-1"),
		does("upgrade", "site"),
		p.crash, // under the new image
		p.failedReload,
		does("stop", "site"),
	} {
		if !step() {
			return
		}
	}
}

// crash kills a worker that serves, and waits for the next one. One that is being replaced would have no successor.
func (p *play) crash() bool {
	a, _ := shownBy(p.site)
	pid := servingIn(a)
	mark := p.run.Mark()
	if pid == 0 || syscall.Kill(pid, syscall.SIGKILL) != nil {
		return false // the master's end was that of the worker
	}
	return p.run.SeesLine(mark, `worker exited`) && p.run.SeesLine(mark, `worker ready`)
}

// shownBy is the app as its master tells it; false without one.
func shownBy(s *site) (api.App, bool) {
	var a api.App
	err := json.Unmarshal([]byte(s.command("show", "--json").stdout), &a)
	return a, err == nil
}

// servingIn is the process of a worker that serves; 0 without one.
func servingIn(a api.App) int {
	for _, slot := range a.Slots {
		for _, w := range slot.Workers {
			if w.Phase == "serving" {
				return w.PID
			}
		}
	}
	return 0
}

func (p *play) failedReload() bool {
	p.release("crashes")
	code := p.command("reload", "site").code
	p.release("one")
	return code == 1 && p.run.SeesLine(0, `reload failed`)
}

// TestKilledAfterEachEffect: the master of muster run may be killed at any moment. Then none of its workers is left, and nothing that keeps the
// same app from starting again.
func TestKilledAfterEachEffect(t *testing.T) {
	t.Parallel()
	for _, handoff := range []string{"node", "inherit"} {
		t.Run(handoff, func(t *testing.T) {
			t.Parallel()
			eachEffect(t, handoff, func(p *play) {
				p.run.WaitExit() // with all that came from it
				p.serves()
			})
		})
	}
}

// serves starts the same app again, which has to serve and to stop as if nothing had been.
func (p *play) serves() {
	p.t.Helper()
	p.start(0)
	p.run.WaitLine(`serving workers=2$`)
	p.requireRelease("one")
	p.require(0, "stopped site", "stop", "site")
	if code := p.run.WaitExit().ExitCode(); code != 0 {
		p.t.Errorf("muster ended with %d", code)
	}
}

// eachEffect plays the scenario once to the end, then again and again with a master that is killed after one effect: the next one each time.
// What has to hold then is survived's to say. A scenario need not take the same course each time; what is left out is told.
func eachEffect(t *testing.T, handoff string, survived func(p *play)) {
	whole := newPlay(t, handoff)
	whole.start(0)
	whole.scenario()
	if !strings.Contains(whole.run.Output(), "stopping") {
		t.Fatal("the scenario was not played to its end")
	}
	if code := whole.run.WaitExit().ExitCode(); code != 0 {
		t.Fatalf("the scenario ended with %d", code)
	}
	effects := whole.effects()
	t.Logf("%d effects", len(effects))
	stride := 1
	if os.Getenv("MUSTER_LONG") == "" && testing.Short() {
		stride = 7
	}
	for n := 1; n <= len(effects); n += stride {
		kind, _, _ := strings.Cut(effects[n-1], "{")
		t.Run(fmt.Sprint(n, " ", kind), func(t *testing.T) {
			p := newPlay(t, handoff)
			p.start(n)
			p.scenario()
			state := p.run.WaitExit().Sys().(syscall.WaitStatus)
			if !state.Signaled() {
				t.Skipf("the scenario ended before, after %d effects", len(p.effects()))
			}
			if state.Signal() != syscall.SIGKILL {
				t.Errorf("muster ended with %v", state)
			}
			survived(p)
		})
	}
}
