package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/musterd/muster/api"
)

const musterUnit = "muster.service"

// TestSystemdDaemon has a real systemd keep the daemon: from muster startup through a crash, restarts and a reboot to muster unstartup.
func TestSystemdDaemon(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.requireSaid("wrote /etc/systemd/system/muster.service", "muster", "startup")
	m.requireVerified()
	m.requireSaid("enabled", "systemctl", "is-enabled", musterUnit)
	m.do("systemctl", "start", musterUnit)
	m.requireProperty(musterUnit, "StatusText", "serving")

	m.startSite("root", "8080")
	m.requireSaid("site", "muster", "save")
	m.crashOfTheDaemon()
	m.restartOfTheUnit()
	m.stopOfTheUnit()
	m.do("systemctl", "start", musterUnit) // what was saved is started, since a stop wants no app to run
	m.requireServing("8080")

	before := m.entry("site")
	m.reboot()
	m.requireProperty(musterUnit, "ActiveState", "active")
	m.requireServing("8080")
	if after := m.entry("site"); after.App.Started.Equal(before.App.Started) {
		t.Errorf("after the reboot: %+v, before %+v", after, before)
	}

	m.requireSaid("removed", "muster", "unstartup")
	if got := m.try("systemctl", "is-enabled", musterUnit); got.Code == 0 {
		t.Errorf("after unstartup: %+v", got)
	}
	if _, err := os.Lstat(filepath.Join(m.root, "etc/systemd/system", musterUnit)); err == nil {
		t.Error("the unit is still there")
	}
	m.requireServing("8080")
	m.do("muster", "daemon", "stop")
	m.reboot()
	m.do("systemctl", "is-system-running", "--wait")
	if got := m.try("muster", "daemon", "status"); got.Code != 3 {
		t.Errorf("after unstartup and a reboot: %+v", got)
	}
	m.halt()
}

// crashOfTheDaemon: nobody notices, and systemd starts another.
func (m *machine) crashOfTheDaemon() {
	m.t.Helper()
	seen, before, daemon := m.crowd("127.0.0.1:8080"), m.entry("site"), m.property(musterUnit, "MainPID")
	m.do("kill", "-KILL", daemon)
	m.requireProperty(musterUnit, "NRestarts", "1")
	m.requireProperty(musterUnit, "ActiveState", "active")
	m.requireSameWorkers(before)
	requireUnharmed(m.t, "crash of the daemon", seen())
	if now := m.property(musterUnit, "MainPID"); now == daemon || now == "0" {
		m.t.Errorf("the daemon is process %s, was %s", now, daemon)
	}
}

// restartOfTheUnit: the daemon alone is another one, and it keeps what the masters would leave.
func (m *machine) restartOfTheUnit() {
	m.t.Helper()
	seen, before := m.crowd("127.0.0.1:8080"), m.entry("site")
	m.do("systemctl", "restart", musterUnit)
	m.requireSameWorkers(before)
	m.do("kill", "-KILL", strconv.Itoa(before.PID))
	poll(m.t, "new master", func() bool {
		e := m.entry("site")
		return e.App != nil && e.PID != before.PID && e.App.State == api.AppServing
	})
	if got, want := workerPIDs(m.entry("site").App), workerPIDs(before.App); got != want {
		m.t.Errorf("workers %s, were %s", got, want)
	}
	requireUnharmed(m.t, "restart of the unit, and crash of the master", seen())
}

// stopOfTheUnit: everything ends in order.
func (m *machine) stopOfTheUnit() {
	m.t.Helper()
	pids := m.entry("site")
	m.do("systemctl", "stop", musterUnit)
	for name, want := range map[string]string{"Result": "success", "ActiveState": "inactive", "ExecMainStatus": "0"} {
		if got := m.property(musterUnit, name); got != want {
			m.t.Errorf("after the stop: %s=%s, want %s", name, got, want)
		}
	}
	for _, slot := range pids.App.Slots {
		for _, w := range slot.Workers {
			if got := m.try("kill", "-0", strconv.Itoa(w.PID)); got.Code == 0 {
				m.t.Errorf("worker %d outlives the stop", w.PID)
			}
		}
	}
	log := m.do("journalctl", "--no-pager", "-u", musterUnit)
	if said := log[strings.LastIndex(log, "Stopping"):]; strings.Contains(said, "remains running") || strings.Contains(said, "KILL") {
		m.t.Errorf("the stop was not in order:\n%s", said)
	}
}

// startSite starts the app "site" of two workers.
func (m *machine) startSite(who, port string) {
	m.t.Helper()
	got := m.run(m.as(who, append([]string{"muster", "start", "--name", "site"}, siteArgs(port)...)...))
	if got.Code != 0 || !strings.Contains(got.Stdout, "started site: 2 workers") {
		m.t.Fatalf("%+v", got)
	}
}

// siteArgs are the flags and the program of the app "site".
func siteArgs(port string) []string {
	return []string{"-i", "2", "-l", "127.0.0.1:" + port, "--handoff", "node", "--env", roleVariable + "=release", "--", "/agent"}
}

// as makes a command of root or of the user ann.
func (m *machine) as(who string, argv ...string) Command {
	if who == "root" {
		return Command{Argv: argv}
	}
	return Command{Argv: argv, UID: annUID, Env: []string{"HOME=/home/" + who, fmt.Sprintf("XDG_RUNTIME_DIR=/run/user/%d", annUID)}}
}

// requireSameWorkers waits until the daemon answers, and requires that nothing has become of the app.
func (m *machine) requireSameWorkers(before api.Entry) {
	m.t.Helper()
	after := m.entry("site")
	if after.PID != before.PID || after.App == nil || after.App.Respawns != before.App.Respawns || workerPIDs(after.App) != workerPIDs(before.App) {
		m.t.Errorf("the app is %+v, was %+v", after, before)
	}
}

// requireServing waits until the app "site" serves, and requires that every worker answers.
func (m *machine) requireServing(port string) {
	m.t.Helper()
	var e api.Entry
	poll(m.t, "site that serves", func() bool {
		e = m.entry("site")
		return e.App != nil && e.App.State == api.AppServing
	})
	got := m.ask("127.0.0.1:"+port, 50)
	requireUnharmed(m.t, "serving", got)
	if n := len(e.App.Slots); len(got.PIDs) != n {
		m.t.Errorf("workers %v answer, want %d", got.PIDs, n)
	}
}

// requireVerified requires that systemd finds nothing wrong with the unit.
func (m *machine) requireVerified() {
	m.t.Helper()
	got := m.try("systemd-analyze", "verify", musterUnit)
	if got.Code != 0 || got.Stdout+got.Stderr != "" {
		m.t.Errorf("systemd-analyze verify: %+v", got)
	}
}

// entry is what list says of an app in the machine.
func (m *machine) entry(name string) api.Entry {
	m.t.Helper()
	got := m.try("muster", "list", "--json")
	var all []api.Entry
	if err := json.Unmarshal([]byte(got.Stdout), &all); err != nil {
		m.t.Fatalf("%v: %+v", err, got)
	}
	for _, e := range all {
		if e.Name == name {
			return e
		}
	}
	m.t.Fatalf("no app %s in %+v", name, all)
	return api.Entry{}
}

// requireSaid requires a word in the output of a command, which must succeed.
func (m *machine) requireSaid(word string, argv ...string) {
	m.t.Helper()
	if got := m.try(argv...); got.Code != 0 || !strings.Contains(got.Stdout, word) {
		m.t.Errorf("%v: %+v, without %q", argv, got, word)
	}
}
