package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/testutil"
)

// keepSite starts workers of that kind as the app "site" of a daemon.
func keepSite(t *testing.T, kind reloader, workers int) *site {
	t.Helper()
	s := kept(t)
	s.addr = hostPort(testutil.Port(t))
	for name, text := range kind.files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{"start", "--name", "site", "-i", fmt.Sprint(workers), "-l", s.addr}, kind.command(t)...)
	s.require(0, "started site", args...)
	return s
}

// socket is that of the daemon's API.
func (s *site) daemonSocket() string { return filepath.Join(s.home, "run", ".daemon", "control.sock") }

// newMaster waits until another master of the app answers than the one that was lost, and every slot is served, after so many respawns.
func (s *site) newMaster(lost, respawns int) *api.App {
	s.t.Helper()
	return s.awaitApp(func(e api.Entry) bool {
		return e.PID != lost && e.App.State == api.AppServing && e.App.Respawns >= respawns
	})
}

// awaitApp waits until the app is as it should be.
func (s *site) awaitApp(is func(api.Entry) bool) *api.App {
	s.t.Helper()
	c := client.New(s.daemonSocket())
	defer c.Close()
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	events, err := c.Events(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	defer events.Close()
	for {
		all, err := c.Entries(ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, e := range all {
			if e.Name == "site" && e.App != nil && is(e) {
				return e.App
			}
		}
		if _, err := events.Next(); err != nil {
			text, _ := json.Marshal(all)
			s.t.Fatalf("no such app: %v; %s", err, text)
		}
	}
}

// workerPIDs are the processes of the workers, by slot.
func workerPIDs(a *api.App) string {
	var text strings.Builder
	for _, slot := range a.Slots {
		for _, w := range slot.Workers {
			fmt.Fprintf(&text, "%d:%d ", slot.Slot, w.PID)
		}
	}
	return text.String()
}

// TestKilledMasterIsReplacedUnnoticed: the workers of a master that is killed serve on, and are the next one's: no request is lost, no worker
// is replaced, and the new master replaces those that end.
func TestKilledMasterIsReplacedUnnoticed(t *testing.T) {
	t.Parallel()
	for _, kind := range reloaders() {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := keepSite(t, kind, 2)
			e := s.entry("site")
			before := workerPIDs(e.App)
			seen := s.crowd()
			for round := range 5 {
				if round%2 == 1 {
					s.killDaemon()
					s.require(0, "site", "list", "--quiet")
				}
				killAndAwait(t, e.PID)
				a := s.newMaster(e.PID, 0)
				if got := workerPIDs(a); got != before {
					t.Errorf("round %d: workers %s, were %s", round, got, before)
				}
				e = s.entry("site")
			}
			s.requireOnlyLostIn(nil, seen()...)
			if e.Masters != 5 || e.App.Respawns != 0 {
				t.Errorf("%d masters lost, %d respawns", e.Masters, e.App.Respawns)
			}
			victim := e.App.Slots[1].Workers[0].PID
			killAndAwait(t, victim)
			s.require(0, "reloaded site", "reload", "site")
			s.require(0, "scaled site to 3", "scale", "site", "3")
			s.require(0, "stopped site", "stop", "site")
			s.require(0, "started site: 3 workers", "start", "site")
		})
	}
}

// TestDeathsAreToldOnce: a worker that ends while there is no master is reported and replaced once by the next.
func TestDeathsAreToldOnce(t *testing.T) {
	t.Parallel()
	s := keepSite(t, reloaders()[0], 2)
	e := s.entry("site")
	for round := 1; round <= 3; round++ {
		victim := e.App.Slots[round%2].Workers[0].PID
		killAndAwait(t, e.PID)
		killAndAwait(t, victim)
		a := s.newMaster(e.PID, round)
		exits := a.Slots[round%2].Exits
		if a.Respawns != round || len(exits) == 0 || exits[len(exits)-1].PID != victim {
			t.Errorf("round %d: %d respawns, exits %+v, killed %d", round, a.Respawns, exits, victim)
		}
		e = s.entry("site")
	}
}
