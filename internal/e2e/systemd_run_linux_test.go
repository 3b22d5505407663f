package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

const (
	webUnit   = "web.service"
	webServer = `require('http').createServer((_, res) => res.end('RELEASE pid: ' + process.pid + '\n')).listen(3000)` + "\n"
)

// installWeb writes the units of docs/how-to/systemd.md as they stand there, and the site that they run.
func (m *machine) installWeb(units ...string) {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(testutil.Root(), "docs/how-to/systemd.md"))
	if err != nil {
		m.t.Fatal(err)
	}
	for _, unit := range units {
		found := regexp.MustCompile("(?s)`/etc/systemd/system/" + regexp.QuoteMeta(unit) + "`.*?```ini\n(.*?)```").FindSubmatch(text)
		if found == nil {
			m.t.Fatalf("no %s in the documentation", unit)
		}
		m.write("etc/systemd/system/"+unit, string(found[1]))
		if got := m.try("systemd-analyze", "verify", unit); got.Code != 0 || got.Stdout+got.Stderr != "" {
			m.t.Errorf("systemd-analyze verify %s: %+v", unit, got)
		}
	}
	m.write("srv/web/server.js", webServer)
}

// workers are the processes of the app web, when those that drain have gone.
func (m *machine) workers() (pids string) {
	m.t.Helper()
	poll(m.t, "four workers", func() bool {
		pids = m.do("env", "MUSTER_HOME=/run/web", "muster", "show", "--quiet", "web")
		return len(strings.Fields(pids)) == 4
	})
	return pids
}

// TestSystemdService has a real systemd run an app by the unit in the documentation.
func TestSystemdService(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.installWeb(webUnit)
	m.write("etc/systemd/system/web.service.d/e2e.conf", "[Service]\nWatchdogSec=2\n")
	m.do("systemctl", "daemon-reload")
	m.do("systemctl", "start", webUnit)
	m.requireProperty(webUnit, "StatusText", "serving, 4 of 4 slots served")
	m.requireProperty(webUnit, "ActiveState", "active")
	seen := m.crowd("127.0.0.1:3000")
	before := m.workers()

	m.loseMaster("kill", "-KILL")
	m.loseMaster("kill", "-STOP") // the watchdog notices
	if got := m.workers(); got != before {
		t.Errorf("workers\n%s\nwere\n%s", got, before)
	}

	m.do("systemctl", "reload", webUnit)
	after := m.workers()
	if got := m.property(webUnit, "ActiveState"); after == before || got != "active" {
		t.Errorf("after the reload: %s, workers\n%s\nwere\n%s", got, after, before)
	}
	m.reloadBySignal()
	after = m.workers()
	m.write("srv/web/server.js", "throw new Error('a bad release')\n")
	if got := m.try("systemctl", "reload", webUnit); got.Code == 0 {
		t.Errorf("a bad release was reloaded: %+v", got)
	}
	if got := m.workers(); got != after {
		t.Errorf("after the bad release: workers\n%s\nwere\n%s", got, after)
	}
	requireUnharmed(t, "crash, hang and reloads of the master", seen())

	m.do("systemctl", "stop", webUnit)
	if got := m.property(webUnit, "Result"); got != "success" {
		t.Errorf("result of the stop: %s", got)
	}
	for pid := range strings.FieldsSeq(after) {
		if got := m.try("kill", "-0", pid); got.Code == 0 {
			t.Errorf("worker %s outlives the stop", pid)
		}
	}
	if got := m.property(webUnit, "NFileDescriptorStore"); got != "0" {
		t.Errorf("after the stop systemd keeps %s descriptors", got)
	}
	m.halt()
}

// reloadBySignal is a reload that nobody asked systemd for: it sees it begin and end.
func (m *machine) reloadBySignal() {
	m.t.Helper()
	m.write("srv/web/server.js", "const fs = require('fs'); if (fs.existsSync('gate')) fs.readFileSync('gate');\n"+webServer)
	m.do("mkfifo", "-m", "666", "/srv/web/gate")
	m.do("kill", "-HUP", m.property(webUnit, "MainPID"))
	m.requireProperty(webUnit, "ActiveState", "reloading")
	if got := m.property(webUnit, "StatusText"); !strings.HasPrefix(got, "reloading, ") {
		m.t.Errorf("status of the reload: %s", got)
	}
	m.do("sh", "-c", "exec 3>/srv/web/gate; rm /srv/web/gate") // opens it when the first new worker waits there
	m.requireProperty(webUnit, "ActiveState", "active")
}

// loseMaster does that to the master, and waits for the next one.
func (m *machine) loseMaster(how ...string) {
	m.t.Helper()
	pid, restarts := m.property(webUnit, "MainPID"), m.property(webUnit, "NRestarts")
	n, err := strconv.Atoi(restarts)
	if err != nil {
		m.t.Fatal(err)
	}
	m.do(append(how, pid)...)
	m.requireProperty(webUnit, "NRestarts", strconv.Itoa(n+1))
	m.requireProperty(webUnit, "ActiveState", "active")
	m.requireProperty(webUnit, "StatusText", "serving, 4 of 4 slots served")
}

// TestSystemdSocket has systemd open the socket of an app: no client is refused, also not by a restart.
func TestSystemdSocket(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.installWeb(webUnit, "web.socket")
	m.do("systemctl", "daemon-reload")
	m.do("systemctl", "start", "web.socket")
	if got := m.property(webUnit, "ActiveState"); got != "inactive" {
		t.Errorf("before the first request: %s", got)
	}
	requireUnharmed(t, "first requests", m.ask("127.0.0.1:3000", 20))
	m.requireProperty(webUnit, "ActiveState", "active")
	seen := m.crowd("127.0.0.1:3000")
	m.do("systemctl", "restart", webUnit)
	before := m.workers()
	m.loseMaster("kill", "-KILL")
	if got := m.workers(); got != before {
		t.Errorf("workers\n%s\nwere\n%s", got, before)
	}
	requireUnharmed(t, "restart, and crash of the master, behind a socket of systemd's", seen())
	for pid := range strings.FieldsSeq(before) {
		if env := m.do("cat", "/proc/"+pid+"/environ"); strings.Contains(env, "LISTEN_") || strings.Contains(env, "MUSTER_STORE") || strings.Contains(env, "WATCHDOG") {
			t.Errorf("worker %s was told of what is the master's: %q", pid, env)
		}
	}
	m.do("systemctl", "stop", webUnit, "web.socket")
	m.socketsByName()
	m.halt()
}

// socketsByName gives an app two sockets, one of which it knows by name alone, and then one that it does not know at all.
func (m *machine) socketsByName() {
	m.t.Helper()
	service := func(listen string) {
		m.write("etc/systemd/system/odd.service", "[Service]\nEnvironment="+roleVariable+"=release\n"+
			"ExecStart=/usr/local/bin/muster run --name odd -i 2 --balance slots "+listen+" -- /agent\n")
	}
	m.write("etc/systemd/system/odd.socket", "[Socket]\nListenStream=127.0.0.1:4000\nFileDescriptorName=admin\n")
	m.write("etc/systemd/system/odd2.socket", "[Socket]\nListenStream=4001\nListenStream=/run/odd.sock\nService=odd.service\n")
	service("-l admin=127.0.0.1:4009 -l :4001 -l unix:/run/odd.sock")
	m.do("systemctl", "daemon-reload")
	m.do("systemctl", "start", "odd.socket", "odd2.socket")
	requireUnharmed(m.t, "socket by name", m.ask("127.0.0.1:4000", 10))
	requireUnharmed(m.t, "socket by address", m.ask("127.0.0.1:4001", 10))
	if got := m.ask("127.0.0.1:4009", 1); got.OK > 0 {
		m.t.Errorf("an address is served that systemd has replaced: %s", got.Text)
	}
	m.do("systemctl", "stop", "odd.service", "odd.socket", "odd2.socket")

	service("-l :4001")
	m.do("systemctl", "daemon-reload")
	m.do("systemctl", "start", "odd.socket")
	m.try("systemctl", "start", "odd.service")
	m.requireProperty("odd.service", "ActiveState", "failed")
	const want = "muster: socket admin on tcp4://127.0.0.1:4000, from the manager above, is no listener of the app"
	if log := m.do("journalctl", "--no-pager", "-u", "odd.service"); !strings.Contains(log, want) || !strings.Contains(log, "hint: add --listen tcp4://127.0.0.1:4000") {
		m.t.Errorf("no word of %q in\n%s", want, log)
	}
}

// TestSystemdMemory: a worker that meets MemoryMax= is reported as out of memory.
func TestSystemdMemory(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.write("etc/systemd/system/eater.service", "[Service]\nMemoryMax=64M\nOOMPolicy=continue\n"+
		"ExecStart=/usr/local/bin/muster run --name eater -i 1 --handoff none --max-restarts 0 -- tail /dev/zero\n")
	m.do("systemctl", "daemon-reload")
	m.do("systemctl", "start", "eater")
	m.requireProperty("eater", "ActiveState", "failed")
	log := m.do("journalctl", "--no-pager", "-u", "eater")
	if got := m.property("eater", "ExecMainStatus"); got != "137" || !strings.Contains(log, "killed by SIGKILL (out of memory)") {
		t.Errorf("exit status %s\n%s", got, log)
	}
	m.halt()
}
