package sock

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
)

func TestInUseNamesTheOwner(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "udp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			l := app.Listener{Name: "web", Network: network, Host: "127.0.0.1"}
			role := "listen " + network + " 0"
			if network == "unix" {
				l = unixAt(socketPath(t))
				role = "listen unix " + l.Path
			}
			owner := startRole(t, role, nil)
			l.Port = owner.number()
			_, err := OpenShared(l, Options{})
			checkOwner(t, err, owner.pid())
		})
	}
}

func checkOwner(t *testing.T, err error, pid int) {
	t.Helper()
	var inUse *InUseError
	if !errors.As(err, &inUse) || !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("error %v, want in use", err)
	}
	if o := inUse.Owner; !o.Known || o.PID != pid || !strings.Contains(o.Command, filepath.Base(os.Args[0])) {
		t.Errorf("owner %+v, want process %d", o, pid)
	}
	if !strings.Contains(err.Error(), fmt.Sprintf("(pid %d)", pid)) || !strings.Contains(inUse.Hint(), fmt.Sprint(pid)) {
		t.Errorf("error %q with hint %q, want the process in both", err, inUse.Hint())
	}
}

// With SO_REUSEPORT alone the slots of a second master would silently join the first one's.
func TestSlotsDoNotJoinAStranger(t *testing.T) {
	t.Parallel()
	stranger := startRole(t, "slots", nil)
	l := local()
	l.Port = stranger.number()
	_, err := OpenSlots(l, 2, Options{})
	checkOwner(t, err, stranger.pid())
	l.Host = "" // the same port on any address
	_, err = OpenSlots(l, 2, Options{})
	checkOwner(t, err, stranger.pid())
}

// Of a master and its workers, the master is to be named.
func TestOwnerIsTheEldest(t *testing.T) {
	t.Parallel()
	s := openShared(t, local(), Options{})
	startRole(t, "hold", s).line()
	if got := WhoListens(s.Listener()); !got.Known || got.PID != os.Getpid() {
		t.Errorf("owner %+v, want process %d", got, os.Getpid())
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	s := openShared(t, local(), Options{})
	other := s.Listener()
	other.Host = "127.0.0.2"
	if got := WhoListens(other); got.Known {
		t.Errorf("owner %+v of another address", got)
	}
	if got := WhoListens(unixAt("/nowhere")); got.Known {
		t.Errorf("owner %+v of no path", got)
	}
}

func TestErrorsAreOneLineWithAHint(t *testing.T) {
	t.Parallel()
	low := local()
	low.Port = 80
	tests := []interface {
		error
		Hint() string
	}{
		&InUseError{Listener: low},
		&InUseError{Listener: app.Listener{Network: "udp", Port: 53}},
		&InUseError{Listener: unixAt("/run/s")},
		&InUseError{Listener: low, Owner: Owner{PID: 7, Command: "node server.js", Known: true}},
		&PermissionError{Listener: low, Errno: unix.EACCES},
		&PermissionError{Listener: unixAt("/run/s"), Errno: unix.EACCES},
		&PermissionError{Listener: local(), Errno: unix.EPERM},
		&UnavailableError{Listener: low},
	}
	for _, err := range tests {
		if msg := err.Error(); strings.Contains(msg, "\n") || !strings.HasPrefix(msg, "open listener ") {
			t.Errorf("message %q", msg)
		}
		if hint := err.Hint(); hint == "" || strings.Contains(hint, "\n") {
			t.Errorf("%v: hint %q", err, hint)
		}
	}
}

func TestPrivilegedPort(t *testing.T) {
	t.Parallel()
	if firstFreePort() <= 1 {
		t.Skip("this machine has no privileged ports")
	}
	p := startRole(t, "bare listen tcp 1", nil)
	if got, want := p.line(), "*sock.PermissionError open listener 127.0.0.1:1: permission denied"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseAddr(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{ // as a little-endian machine writes them
		{"0100007F:0BB8", "127.0.0.1:3000"},
		{"00000000:0050", "0.0.0.0:80"},
		{"00000000000000000000000001000000:0050", "[::1]:80"},
		{"0000000000000000FFFF00000100007F:0050", "[::ffff:127.0.0.1]:80"},
		{"xx:0050", ""},
		{"0100007F", ""},
		{"01:0050", ""},
	}
	for _, tt := range tests {
		got, ok := parseAddr(tt.in)
		if ok != (tt.want != "") || ok && got != netip.MustParseAddrPort(tt.want) {
			t.Errorf("parseAddr(%q) = %v, %v; want %q", tt.in, got, ok, tt.want)
		}
	}
}

func TestCommandIsOneShortLine(t *testing.T) {
	t.Parallel()
	if got := oneLine("node\x00server.js\x00--title=a\nb\x00"); got != "node server.js --title=a b" {
		t.Errorf("got %q", got)
	}
	if got := command(os.Getpid()); got == "" || len(got) > maxCommand+len("…") {
		t.Errorf("got %q", got)
	}
	if got := command(1 << 30); got != "a process" {
		t.Errorf("command of no process: %q", got)
	}
}
