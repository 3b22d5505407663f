package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/testutil"
)

// consumer is a program that must be alone: it holds a lock as long as any of its processes lives, and notes when it does not get it.
const consumer = `exec 9> lock
flock -n 9 || echo "two at a time: $MUSTER_ID" >> violations
test -f bad && exit 3
echo $MUSTER_ID >> up
test -f stubborn && trap '' TERM
while :; do sleep 1000; done
`

const consumerFile = `apps:
  web:
    command: [%q]
    listen: [%q]
    handoff: node
    workers: 3
    reload_settle: 50ms
    env_file: [env]
    env: {%s: release}
  queue:
    command: [sh, consumer.sh]
    singleton: true
    depends_on: {web: started}
    reload_settle: 50ms
    stop_timeout: 500ms
`

// TestASingletonIsNeverTwo: beside the workers of a site runs one consumer, of which there are never two at a time, whatever happens.
func TestASingletonIsNeverTwo(t *testing.T) {
	t.Parallel()
	testutil.Need(t, "flock")
	s := kept(t)
	s.addr = hostPort(testutil.Port(t))
	s.write("consumer.sh", consumer)
	s.write("muster.yaml", fmt.Sprintf(consumerFile, os.Args[0], s.addr, roleVariable))
	s.require(0, "started queue: 1 worker", "start", "--timeout", "60s")
	for range 3 {
		s.require(0, "reloaded queue: 1 worker", "reload", "all")
	}
	// One that does not end by itself is killed before the next one starts.
	s.write("stubborn", "")
	s.require(0, "reloaded queue", "reload", "queue")
	s.require(0, "reloaded queue", "reload", "queue")
	// A worker that is killed, and its master, and the daemon.
	before := s.entry("queue")
	killAndAwait(t, before.App.Slots[0].Workers[0].PID)
	s.awaitRespawn("queue", before.App.Slots[0].Workers[0].ID)
	killAndAwait(t, s.entry("queue").PID)
	s.require(0, "queue", "start", "queue")
	s.killDaemon()
	s.require(0, "reloaded queue", "reload", "queue")
	s.crashTogether("queue")
	s.require(0, "queue", "start", "queue")
	// A release that is bad: the one before comes back.
	s.write("bad", "")
	r := s.require(1, "of the new generation: exit status 3", "reload", "queue")
	if !strings.Contains(r.stderr, "the last good generation stays") {
		t.Errorf("%+v", r)
	}
	if err := os.Remove(filepath.Join(s.dir, "bad")); err != nil {
		t.Fatal(err)
	}
	poll(t, "consumer", func() bool { e := s.entry("queue"); return e.App != nil && e.App.State == api.AppServing })
	s.require(0, "started queue", "restart", "queue")
	s.require(1, "a singleton has one worker", "scale", "queue", "2")
	if text, err := os.ReadFile(filepath.Join(s.dir, "violations")); !os.IsNotExist(err) {
		t.Errorf("%s, %v", text, err)
	}
	up, err := os.ReadFile(filepath.Join(s.dir, "up"))
	if n := strings.Count(string(up), "\n"); err != nil || n < 9 {
		t.Errorf("the consumer began %d times: %v", n, err)
	}
}

// awaitRespawn waits until another worker than that one serves in the only slot.
func (s *site) awaitRespawn(name string, old uint64) {
	s.t.Helper()
	poll(s.t, "another worker", func() bool {
		e := s.entry(name)
		return e.App != nil && len(e.App.Slots[0].Workers) == 1 && e.App.Slots[0].Workers[0].ID != old && e.App.State == api.AppServing
	})
}

// crashTogether kills the daemon and the master of an app, so that nobody is left who knows its workers.
func (s *site) crashTogether(name string) {
	s.t.Helper()
	pid := s.entry(name).PID
	s.killDaemon()
	killAndAwait(s.t, pid)
}
