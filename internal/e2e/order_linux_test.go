package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/testutil"
)

// orderedApps are five parts, one for each way to depend on another, and one that has nothing to do with them.
const orderedApps = `apps:
  api:
    command: [sh, part.sh, api]
    depends_on: {log: started, db: ready, site: healthy, migrate: completed}
  migrate:
    job: true
    depends_on: [db]
    command: [sh, -c, "echo migrate up >> order; test -f schema || { echo no table users >&2; exit 3; }"]
  site:
    command: [%q]
    listen: [%q]
    handoff: node
    workers: 2
    health: http:/
    env_file: [env]
    env: {%s: release}
    depends_on: {log: started}
  db: {command: [sh, part.sh, db], depends_on: {log: started}}
  log: {command: [sh, part.sh, log]}
  other: {command: [sh, part.sh, other]}
`

// partScript says in a file when it begins and when it ends.
const partScript = `echo $1 up >> order
trap 'echo $1 down >> order; exit 0' TERM
while :; do sleep 1000 & wait; done
`

func ordered(t *testing.T) *site {
	t.Helper()
	s := kept(t)
	s.addr = hostPort(testutil.Port(t))
	s.write("part.sh", partScript)
	s.write("muster.yaml", fmt.Sprintf(orderedApps, os.Args[0], s.addr, roleVariable))
	return s
}

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// happened is what the parts have said since the last call.
func (s *site) happened() []string {
	s.t.Helper()
	path := filepath.Join(s.dir, "order")
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		s.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// requireOrder fails if one of the words does not come, or not behind those before it.
func requireOrder(t *testing.T, said []string, words ...string) {
	t.Helper()
	last := -1
	for _, word := range words {
		at := slices.Index(said, word)
		if at <= last {
			t.Errorf("%q stands at %d, and not behind %d: %q", word, at, last, said)
		}
		last = at
	}
}

// TestOrder starts an app file of parts that depend on each other in each way there is, the migration failing at first, and stops it.
func TestOrder(t *testing.T) {
	t.Parallel()
	s := ordered(t)
	const why = "waiting for migrate (completed): failed: exit status 3"
	r := s.command("start", "--timeout", "60s")
	if r.code != 1 || !strings.Contains(r.stderr, "muster: api was not started: "+why) || !strings.Contains(r.stdout, "started site: 2 workers") ||
		!strings.Contains(r.stdout, "started other") {
		t.Fatalf("%+v", r)
	}
	requireOrder(t, s.happened(), "log up", "db up", "migrate up")
	s.require(0, "api is held since", "explain", "api")
	s.require(0, why, "explain", "api")
	if e := s.entry("api"); e.State != api.EntryHeld || e.Why != why || len(e.Waits) != 1 || e.Waits[0].On != "migrate" || e.PID != 0 {
		t.Errorf("%+v", e)
	}
	// The next daemon knows of all that, and waits on.
	s.killDaemon()
	s.require(0, "", "list") // starts it
	s.awaitHeld("api", why)
	// What failed is put right: what waited for it starts by itself.
	s.write("schema", "")
	s.require(0, "started migrate", "start", "migrate")
	s.require(0, "api", "start", "api", "--timeout", "60s")
	requireOrder(t, s.happened(), "migrate up", "api up")
	// What happens later to what it depends on is nothing to it.
	s.require(0, "reloaded db", "reload", "db")
	before := s.entry("api")
	if r := s.require(0, "stopped db", "stop", "db"); !strings.Contains(r.stderr, "muster: api depends on db and goes on without it") {
		t.Errorf("%+v", r)
	}
	s.require(0, "started db", "start", "db")
	if e := s.entry("api"); e.PID != before.PID {
		t.Errorf("%+v", e)
	}
	_ = s.happened()
	s.require(0, "stopped api", "stop", "muster.yaml")
	requireOrder(t, s.happened(), "api down", "db down", "log down")
	// The whole file again: the migration runs before the api, which has waited for it.
	s.require(0, "started api", "start", "--timeout", "60s")
	requireOrder(t, s.happened(), "log up", "db up", "migrate up", "api up")
	s.require(0, "started api", "restart", "all", "--timeout", "60s")
	said := s.happened()
	requireOrder(t, said, "api down", "db down", "log down", "log up", "db up", "migrate up", "api up")
	// The daemon ends them in that order, too, and resurrect starts them in the order of a start.
	s.require(0, "saved", "save")
	s.require(0, "with it 6 apps", "daemon", "stop")
	requireOrder(t, s.happened(), "api down", "db down", "log down")
	s.require(0, "started", "resurrect")
	s.require(0, "api", "start", "api", "--timeout", "60s")
	requireOrder(t, s.happened(), "log up", "db up", "api up")
}

// awaitHeld waits until an app is held for that reason.
func (s *site) awaitHeld(name, why string) {
	s.t.Helper()
	c := client.New(filepath.Join(s.home, "run", ".daemon", "control.sock"))
	defer c.Close()
	e, err := c.Entry(s.ctx, name)
	for err == nil && e.State == api.EntryHeld && e.Why != why {
		e, err = c.AwaitDecision(s.ctx, e)
	}
	if err != nil || e.State != api.EntryHeld {
		s.t.Fatalf("%+v, %v", e, err)
	}
}

// TestOrderWithAHungMaster: a part whose master does not answer keeps nobody waiting but those that depend on it.
func TestOrderWithAHungMaster(t *testing.T) {
	t.Parallel()
	s := kept(t)
	s.require(0, "started hung", "start", "--name", "hung", "--", "sleep", "1000")
	s.require(0, "started db", "start", "--name", "db", "--", "sleep", "1000")
	pid := s.entry("hung").PID
	signalTo(t, pid, syscall.SIGSTOP)
	t.Cleanup(func() { signalTo(t, pid, syscall.SIGCONT) })
	s.require(0, "started api", "start", "--name", "api", "--depends-on", "db", "--timeout", "60s", "--", "sleep", "1000")
	s.require(0, "", "start", "--no-wait", "--name", "web", "--depends-on", "api", "--depends-on", "hung=started", "--", "sleep", "1000")
	signalTo(t, pid, syscall.SIGCONT)
	s.require(0, "web", "start", "web", "--timeout", "60s")
}

func signalTo(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Error(err)
	}
}

// TestACircleKeepsNobodyWaiting: one that stands in the daemon's files, from wherever, is told by the names of its apps, and ends no command late.
func TestACircleKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	s := kept(t)
	s.require(0, "started one", "start", "--name", "one", "--", "sleep", "1000")
	s.require(0, "started two", "start", "--name", "two", "--depends-on", "one=started", "--", "sleep", "1000")
	s.require(2, `depends_on "two": each would wait for the other: one depends on two depends on one`, "start", "--name", "one", "--depends-on", "two", "--", "sleep", "1000")
	s.require(0, "stopped one", "stop", "all")
	s.killDaemon()
	path := filepath.Join(s.home, "apps", "one.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.overwrite(path, strings.Replace(string(text), `"name": "one"`, `"name": "one", "depends_on": {"two": "ready"}`, 1))
	r := s.require(1, "one was not started: waiting for two (ready): ", "start", "all")
	if !strings.Contains(r.stderr, "two was not started: waiting for one (started): ") {
		t.Errorf("%+v", r)
	}
	s.awaitHeld("one", "waiting for two (ready): waiting for one (started): it waits for this one itself")
	s.awaitHeld("two", "waiting for one (started): waiting for two (ready): it waits for this one itself")
	s.require(0, "it waits for this one itself", "explain", "one")
	s.require(0, "started one", "start", "--name", "one", "--", "sleep", "1000")
	s.require(0, "two", "start", "two", "--timeout", "30s")
}
