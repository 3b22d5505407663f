package e2e

import (
	"strings"
	"testing"
)

// TestSystemdUserDaemon has a user's own systemd keep the daemon of that user.
func TestSystemdUserDaemon(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if got := m.run(Command{Argv: []string{"muster", "startup"}, UID: annUID, Env: []string{"HOME=/home/ann"}}); got.Code != 1 || !strings.Contains(got.Stderr, "hint: a shell made by su or sudo") {
		t.Errorf("without a systemd of the user: %+v", got)
	}
	m.do("systemctl", "start", "user@1000.service")
	ann := func(word string, argv ...string) {
		t.Helper()
		if got := m.run(m.as("ann", argv...)); got.Code != 0 || !strings.Contains(got.Stdout, word) {
			t.Fatalf("%v: %+v, without %q", argv, got, word)
		}
	}
	ann("to have it without a login: loginctl enable-linger", "muster", "startup")
	got := m.run(m.as("ann", "systemd-analyze", "--user", "verify", musterUnit))
	if got.Code != 0 || got.Stdout+got.Stderr != "" {
		t.Errorf("systemd-analyze verify: %+v", got)
	}
	ann("enabled", "systemctl", "--user", "is-enabled", musterUnit)
	ann("", "systemctl", "--user", "start", musterUnit)
	m.startSite("ann", "8081")
	ann("site", "muster", "save")
	requireUnharmed(t, "an app of ann's", m.ask("127.0.0.1:8081", 50))

	m.do("systemctl", "stop", "user@1000.service") // as at the end of the last session
	if got := m.ask("127.0.0.1:8081", 1); got.OK > 0 {
		t.Errorf("the app outlives the user's systemd: %s", got.Text)
	}
	m.do("systemctl", "start", "user@1000.service") // as at boot, with lingering
	poll(t, "app that serves", func() bool { return m.ask("127.0.0.1:8081", 1).OK == 1 })
	ann("removed", "muster", "unstartup")
	if got := m.run(m.as("ann", "systemctl", "--user", "is-enabled", musterUnit)); got.Code == 0 {
		t.Errorf("after unstartup: %+v", got)
	}
	ann("", "muster", "daemon", "stop")
	m.halt()
}
