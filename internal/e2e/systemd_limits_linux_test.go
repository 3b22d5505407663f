package e2e

import (
	"strings"
	"testing"
)

// eater is a worker that eats when it gets SIGUSR1.
const eater = `import os, signal, socket
def eat(*_):
    hold = []
    while True: hold.append(bytearray(1 << 20))
signal.signal(signal.SIGUSR1, eat)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
while True: signal.pause()
`

// TestSystemdKeepsAUnitWhoseWorkerRanOutOfMemory: the worker is replaced, the unit is not touched, and the report says what it was.
func TestSystemdKeepsAUnitWhoseWorkerRanOutOfMemory(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.write("srv/eater.py", eater)
	unit := func(name, more string) {
		m.write("etc/systemd/system/"+name+".service", "[Service]\nType=notify\nNotifyAccess=main\nMemoryMax=150M\nOOMPolicy=continue\nRestart=on-failure\nEnvironment=MUSTER_HOME=/run/"+name+
			"\nExecStart=/usr/local/bin/muster run --name "+name+" -i 2 --handoff none --ready notify "+more+" -- python3 /srv/eater.py\n")
		m.do("systemctl", "daemon-reload")
		m.do("systemctl", "start", name)
	}
	kept := func(name, report string) {
		t.Helper()
		main := m.property(name, "MainPID")
		victim := strings.Fields(m.do("env", "MUSTER_HOME=/run/"+name, "muster", "show", "--quiet", name))[0]
		m.do("kill", "-USR1", victim)
		poll(t, "report of "+report, func() bool {
			return strings.Contains(m.do("journalctl", "--no-pager", "-u", name), report)
		})
		m.requireProperty(name, "StatusText", "serving, 2 of 2 slots served")
		if got := m.property(name, "ActiveState") + " " + m.property(name, "NRestarts") + " " + m.property(name, "MainPID"); got != "active 0 "+main {
			t.Errorf("the unit is %s, want active 0 %s", got, main)
		}
	}
	unit("whole", "")
	kept("whole", `killed by SIGKILL (out of memory)`)
	if m.groups.hasV1("memory") { // else systemd has none to delegate
		unit("parts", "--worker-limits memory=40M --limits-required")
		m.write("etc/systemd/system/parts.service.d/e2e.conf", "[Service]\nDelegate=yes\n")
		m.do("systemctl", "daemon-reload")
		m.do("systemctl", "restart", "parts")
		kept("parts", `killed by SIGKILL (out of memory: the limit of the worker is 40M)`)
		m.do("systemctl", "stop", "parts")
		if got := m.property("parts", "Result"); got != "success" {
			t.Errorf("the stop ended with %s", got)
		}
	}
	m.halt()
}

// TestSystemdDelegatesToTheDaemon: the unit that startup writes lets the daemon's apps have control groups; one of a user's own cannot give
// away what systemd has not, and then the app says so.
func TestSystemdDelegatesToTheDaemon(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.write("srv/eater.py", eater)
	m.requireSaid("wrote /etc/systemd/system/muster.service", "muster", "startup")
	m.do("systemctl", "start", musterUnit)
	args := []string{"muster", "start", "--name", "eater", "--handoff", "none", "--ready", "notify", "--worker-limits", "memory=40M", "--app-limits", "tasks=50", "--", "python3", "/srv/eater.py"}
	m.requireSaid("started eater", args...)
	version := "version 2"
	if m.groups.hasV1("memory") {
		version = "version 1"
	}
	m.requireSaid("memory 40M (control group, "+version+")", "muster", "show", "eater")
	m.do("kill", "-USR1", m.do("muster", "show", "--quiet", "eater"))
	poll(t, "exit report", func() bool {
		return strings.Contains(m.do("muster", "explain", "eater"), "out of memory: the limit of the worker is 40M")
	})
	// What is in the unit's groups lives through the daemon, and the next one goes on with it.
	m.do("systemctl", "kill", "-s", "KILL", "--kill-whom=main", musterUnit)
	m.requireProperty(musterUnit, "StatusText", "serving")
	m.requireSaid("memory 40M (control group, "+version+")", "muster", "show", "eater")
	m.do("muster", "stop", "eater")
	m.do("systemctl", "stop", musterUnit)

	m.do("systemctl", "start", "user@1000.service")
	ann := func(word string, argv ...string) {
		t.Helper()
		if got := m.run(m.as("ann", argv...)); got.Code != 0 || !strings.Contains(got.Stdout, word) {
			t.Fatalf("%v: %+v, without %q", argv, got, word)
		}
	}
	ann("wrote", "muster", "startup")
	ann("", "systemctl", "--user", "start", musterUnit)
	ann("started eater", args...)
	if m.groups.hasV1("memory") { // systemd delegates none of version 1 to users
		ann("refused     memory of each worker: user 1000 may not make control groups in ", "muster", "show", "eater")
		ann("The machine does not grant tasks of all workers together: ", "muster", "explain", "eater")
	}
	ann("removed", "muster", "unstartup")
	ann("", "muster", "daemon", "stop")
	m.halt()
}
