package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// mayhem is a daemon with several apps under load, of which everything but the workers is killed at random moments.
type mayhem struct {
	*site
	rng   *rand.Rand
	apps  []*victim
	kills map[string]int
}

// victim is one of the apps.
type victim struct {
	name     string
	addr     string
	pids     map[int]int // of the workers as they were last, by slot
	respawns int         // as many of its workers were killed
	dead     []int       // these
	mortal   bool        // its workers are killed, too
	seen     func() []*load.Result
}

// unknown is a number of respawns that is to be learned.
const unknown = -1

// TestEverythingIsKilled kills the daemon, a master, both, and everything but the workers, at random moments, also while the next ones are only
// about to take over; between that, commands do what they always do. No request is lost, except in workers that were killed themselves, no
// other worker is replaced, and each of those once. MUSTER_LONG=5m makes it long.
func TestEverythingIsKilled(t *testing.T) {
	m := startMayhem(t)
	m.ctx = t.Context() // not bounded as others are
	ctx, cancel := context.WithTimeout(m.ctx, m.duration())
	defer cancel()
	rounds := 0
	testutil.Moments(ctx, m.rng, 0, 300*time.Millisecond, func() bool {
		rounds++
		m.round()
		return !t.Failed()
	})
	t.Logf("%d rounds, killed: %v", rounds, m.kills)
	for _, v := range m.apps {
		v.account(m)
	}
	m.require(0, "stopped", "stop", "all")
}

func (m *mayhem) duration() time.Duration {
	if text := os.Getenv("MUSTER_LONG"); text != "" {
		if d, err := time.ParseDuration(text); err == nil {
			return d
		}
		return 5 * time.Minute
	}
	return 20 * time.Second
}

func startMayhem(t *testing.T) *mayhem {
	t.Helper()
	m := &mayhem{site: kept(t), rng: testutil.Rand(t), kills: map[string]int{}}
	for _, kind := range reloaders() {
		for name, text := range kind.files {
			if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m.begin(&victim{name: kind.name}, kind.command(t)...)
	}
	m.begin(&victim{name: "mortal", mortal: true}, "--handoff", "node", "--env-file", "env", "--env", roleVariable+"=fickle",
		"--env", acceptedVariable+"="+m.accepted(), "--min-uptime", "1ms", "--", os.Args[0])
	m.settle()
	for _, v := range m.apps {
		fresh := loadUntil(t, v.addr, load.Options{Clients: 2, Duration: time.Hour, NewConnPerRequest: true, ThinkTime: 3 * time.Millisecond})
		stay := loadUntil(t, v.addr, load.Options{Clients: 2, Duration: time.Hour, ThinkTime: 3 * time.Millisecond})
		v.seen = func() []*load.Result { return []*load.Result{fresh(), stay()} }
	}
	return m
}

func (m *mayhem) begin(v *victim, command ...string) {
	m.t.Helper()
	v.addr = hostPort(testutil.Port(m.t))
	args := []string{"start", "--name", v.name, "-i", "2", "-l", v.addr, "--reload-settle", "50ms"}
	m.require(0, "started "+v.name, append(args, command...)...)
	m.apps = append(m.apps, v)
}

// round kills something, maybe once more while others take over, and lets a command do its work.
func (m *mayhem) round() {
	m.t.Helper()
	m.killSome()
	if m.rng.IntN(3) == 0 {
		m.killWorker()
	}
	for m.rng.IntN(2) == 0 {
		m.interrupted()
	}
	m.require(0, "mortal", "list")
	m.settle()
	if m.rng.IntN(4) == 0 {
		m.work()
	}
}

// killSome kills one of the sets of processes that the promise is about.
func (m *mayhem) killSome() {
	m.t.Helper()
	daemons, masters := m.living()
	var names []string
	for _, v := range m.apps {
		names = append(names, v.name)
	}
	one := masters[names[m.rng.IntN(len(names))]]
	what := []string{"daemon", "master", "both", "all"}[m.rng.IntN(4)]
	m.kills[what]++
	var pids []int
	if what != "master" {
		pids = append(pids, daemons...)
	}
	if what == "master" || what == "both" {
		pids = append(pids, one...)
	}
	if what == "all" {
		for _, some := range masters {
			pids = append(pids, some...)
		}
	}
	m.kill(pids)
}

// kill kills these at once: none sees the end of another.
func (m *mayhem) kill(pids []int) {
	m.t.Helper()
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGSTOP) // it may have ended
	}
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	for _, pid := range pids {
		requireGone(m.t, pid)
	}
}

// killWorker kills a worker of an app whose workers are mortal.
func (m *mayhem) killWorker() {
	m.t.Helper()
	for _, v := range m.apps {
		if v.mortal {
			slot := slices.Sorted(maps.Keys(v.pids))[m.rng.IntN(len(v.pids))]
			pid := v.pids[slot]
			killAndAwait(m.t, pid)
			v.dead, v.respawns = append(v.dead, pid), v.respawns+1
			delete(v.pids, slot)
			m.kills["worker"]++
		}
	}
}

// interrupted kills again while a command has the daemon and the masters come back.
func (m *mayhem) interrupted() {
	m.t.Helper()
	ctx, cancel := context.WithCancel(m.ctx)
	defer cancel()
	list := testutil.Start(m.t, testutil.Command{Args: []string{"list"}, Dir: m.dir, Env: []string{"MUSTER_HOME=" + m.home}})
	list.LeaveSurvivors()
	testutil.Moments(ctx, m.rng, 0, 400*time.Millisecond, func() bool { return false })
	m.kills["again"]++
	m.killSome()
	list.WaitExit()
}

// work does what people do.
func (m *mayhem) work() {
	m.t.Helper()
	v := m.apps[m.rng.IntN(len(m.apps))]
	switch m.rng.IntN(3) {
	case 0:
		m.require(0, "reloaded "+v.name, "reload", v.name)
	case 1:
		m.require(0, "scaled "+v.name, "scale", v.name, strconv.Itoa(2+m.rng.IntN(2)))
		v.respawns = unknown // a slot that goes takes its count with it
	case 2:
		m.require(0, "runs already", "start", v.name)
	}
	v.pids = nil
	m.settle()
}

// settle waits until one daemon and one master of each app run, and each slot is served; and requires that no worker is another than before. Slots
// of which the app's pids tell nothing may be served by anyone.
func (m *mayhem) settle() {
	m.t.Helper()
	c := client.New(m.daemonSocket())
	defer c.Close()
	ctx, cancel := context.WithTimeout(m.ctx, 60*time.Second)
	defer cancel()
	events, err := c.Events(ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	defer events.Close()
	for {
		all, err := c.Entries(ctx)
		if err != nil {
			m.t.Fatal(err)
		}
		if m.areAlone(all) && m.areSettled(all) {
			break
		}
		if _, err := events.Next(); err != nil {
			text, _ := os.ReadFile(filepath.Join(m.home, "daemon.log"))
			daemons, masters := m.living()
			m.t.Fatalf("apps do not settle: %v\n%+v\n%v %v\n%s", err, all, daemons, masters, text)
		}
	}
}

// areAlone tells whether one daemon runs, and of each app the master that the daemon knows, and no other.
func (m *mayhem) areAlone(all []api.Entry) bool {
	m.t.Helper()
	daemons, masters := m.living()
	for _, e := range all {
		if !slices.Equal(masters[e.Name], []int{e.PID}) {
			return false
		}
	}
	return len(daemons) == 1 && len(masters) == len(all)
}

func (m *mayhem) areSettled(all []api.Entry) bool {
	m.t.Helper()
	now := map[string]map[int]int{}
	for _, e := range all {
		i := slices.IndexFunc(m.apps, func(v *victim) bool { return v.name == e.Name })
		if i < 0 || e.App == nil || e.App.State != api.AppServing || e.App.Respawns < m.apps[i].respawns {
			return false
		}
		pids := map[int]int{}
		for _, slot := range e.App.Slots {
			if len(slot.Workers) != 1 || slices.Contains(m.apps[i].dead, slot.Workers[0].PID) {
				return false
			}
			pids[slot.Slot] = slot.Workers[0].PID
		}
		now[e.Name] = pids
		if m.apps[i].respawns == unknown {
			m.apps[i].respawns = e.App.Respawns
		}
		if e.App.Respawns != m.apps[i].respawns {
			m.t.Errorf("%s: %d respawns, want %d", e.Name, e.App.Respawns, m.apps[i].respawns)
		}
	}
	for _, v := range m.apps {
		for slot, pid := range v.pids {
			if now[v.name][slot] != pid {
				m.t.Errorf("%s: slot %d is served by %d, was by %d", v.name, slot, now[v.name][slot], pid)
			}
		}
		v.pids = now[v.name]
	}
	return true
}

// account requires that the app has lost nothing but in its workers that were killed.
func (v *victim) account(m *mayhem) {
	m.t.Helper()
	all := v.seen()
	if v.mortal {
		m.requireOnlyLostIn(v.dead, all...)
		return
	}
	for _, got := range all {
		m.t.Logf("%s: %v", v.name, got)
		if got.OK == 0 || got.Failed() > 0 {
			m.t.Errorf("%s: requests were lost", v.name)
		}
	}
}

// living are the daemons and, by the names of their apps, the masters of the site, as the kernel knows them.
func (m *mayhem) living() (daemons []int, masters map[string][]int) {
	m.t.Helper()
	masters = map[string][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		m.t.Fatal(err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || !bytes.Contains(env, []byte("MUSTER_HOME="+m.home+"\x00")) {
			continue
		}
		title, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		words := strings.Fields(strings.ReplaceAll(string(title), "\x00", " "))
		switch {
		case len(words) >= 2 && words[0] == "muster:" && words[1] == "daemon", len(words) == 2 && words[1] == "daemon":
			daemons = append(daemons, pid)
		case len(words) >= 3 && words[0] == "muster:" && words[1] == "master":
			masters[words[2]] = append(masters[words[2]], pid)
		case len(words) >= 3 && words[0] == "muster" && words[1] == "master":
			masters[words[2]] = append(masters[words[2]], pid)
		}
	}
	return daemons, masters
}
