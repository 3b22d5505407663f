package sock

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/testutil"
)

func TestOpenSharedBindsWhatWasAsked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ network, host, prefix string }{
		{"tcp", "127.0.0.1", "127.0.0.1:"},
		{"tcp", "::1", "[::1]:"},
		{"tcp", "", "[::]:"},
		{"tcp4", "", "0.0.0.0:"},
		{"tcp6", "", "[::]:"},
		{"udp", "127.0.0.1", "127.0.0.1:"},
		{"udp6", "::1", "[::1]:"},
	} {
		t.Run(tt.network+" "+tt.host, func(t *testing.T) {
			t.Parallel()
			s := openShared(t, app.Listener{Network: tt.network, Host: tt.host}, Options{})
			if !strings.HasPrefix(s.Addr(), tt.prefix) || s.Port() == 0 || s.Network() != tt.network {
				t.Errorf("bound to %s %s, want %s", s.Network(), s.Addr(), tt.prefix)
			}
			if got := s.Listener(); got.Port != s.Port() {
				t.Errorf("listener has port %d, want %d", got.Port, s.Port())
			}
			if !closesOnExec(t, s.FD()) {
				t.Error("the socket is not close-on-exec")
			}
		})
	}
}

func TestDualStack(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		l          app.Listener
		o          Options
		four, six  bool
		wantPrefix string
	}{
		{"tcp", app.Listener{Network: "tcp"}, Options{}, true, true, "[::]:"},
		{"tcp, IPv6 only", app.Listener{Network: "tcp"}, Options{V6Only: true}, false, true, "[::]:"},
		{"tcp6", app.Listener{Network: "tcp6"}, Options{}, false, true, "[::]:"},
		{"tcp4", app.Listener{Network: "tcp4"}, Options{}, true, false, "0.0.0.0:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, s := range openSlots(t, tt.l, 2, tt.o) {
				if !strings.HasPrefix(s.Addr(), tt.wantPrefix) {
					t.Errorf("bound to %s, want %s", s.Addr(), tt.wantPrefix)
				}
				if got := reachable("127.0.0.1", s.Port()); got != tt.four {
					t.Errorf("reachable by IPv4: %v, want %v", got, tt.four)
				}
				if got := reachable("::1", s.Port()); got != tt.six {
					t.Errorf("reachable by IPv6: %v, want %v", got, tt.six)
				}
			}
		})
	}
}

func reachable(host string, port int) bool {
	c, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		return false
	}
	return c.Close() == nil
}

func TestSlotsShareOnePort(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			l := local()
			l.Network = network
			slots := openSlots(t, l, 5, Options{})
			inodes := map[uint64]bool{}
			for _, s := range slots {
				if s.Port() == 0 || s.Port() != slots[0].Port() {
					t.Errorf("port %d, want %d", s.Port(), slots[0].Port())
				}
				inode, err := s.Inode()
				check(t, err)
				inodes[inode] = true
			}
			if len(inodes) != len(slots) {
				t.Errorf("%d sockets for %d slots", len(inodes), len(slots))
			}
		})
	}
}

// Every connection waits in exactly one slot, that of the first socket, which was bound alone, included.
func TestConnectionsSpreadOverAllSlots(t *testing.T) {
	t.Parallel()
	const connections = 200
	slots := openSlots(t, local(), 3, Options{})
	more, err := AddSlot(slots[0].Listener(), Options{})
	check(t, err)
	t.Cleanup(func() { check(t, more.Close()) })
	slots = append(slots, more)
	for range connections {
		dial(t, slots[0])
	}
	eventually(t, "all connections are queued", func() bool { return total(t, slots) == connections })
	for i, s := range slots {
		if n := queueLen(t, s); n < connections/16 {
			t.Errorf("slot %d has %d of %d connections", i, n, connections)
		}
	}
}

func total(t *testing.T, slots []*Socket) int {
	t.Helper()
	sum := 0
	for _, s := range slots {
		sum += queueLen(t, s)
	}
	return sum
}

func TestNonblockStaysAsAsked(t *testing.T) {
	t.Parallel()
	for _, nonblock := range []bool{false, true} {
		for _, l := range []app.Listener{local(), unixAt(socketPath(t))} {
			t.Run(fmt.Sprintf("%s %v", l.Network, nonblock), func(t *testing.T) {
				t.Parallel()
				s := openShared(t, l, Options{Nonblock: nonblock})
				dial(t, s)
				if fd, err := s.Accept(); err == nil {
					closeFD(t, fd)
				} else if nonblock || !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("accept: %v", err)
				}
				_, err := s.Queue()
				check(t, err)
				fd, err := s.Dup()
				check(t, err)
				defer closeFD(t, fd)
				startRole(t, "hold", s).line()
				if got := nonblocking(t, fd); got != nonblock {
					t.Errorf("O_NONBLOCK of the duplicate is %v, want %v", got, nonblock)
				}
				if got := nonblocking(t, s.FD()); got != nonblock {
					t.Errorf("O_NONBLOCK is %v, want %v", got, nonblock)
				}
			})
		}
	}
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	for asked, want := range map[int]int{0: DefaultBacklog, 7: 7} {
		for _, l := range []app.Listener{local(), unixAt(socketPath(t))} {
			s := openShared(t, l, Options{Backlog: asked})
			q, err := s.Queue()
			check(t, err)
			if q != (Queue{Len: 0, Max: want}) {
				t.Errorf("%s: queue is %+v, want 0 of %d", l.Network, q, want)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	tests := []struct {
		name string
		open func() error
		want error
	}{
		{"unknown network", func() error { return shared(app.Listener{Network: "sctp"}) }, unix.EINVAL},
		{"no slots", func() error { _, err := OpenSlots(local(), 0, Options{}); return err }, nil},
		{"slots of a unix socket", func() error { _, err := OpenSlots(unixAt(path), 2, Options{}); return err }, errors.ErrUnsupported},
		{"slot without a port", func() error { _, err := AddSlot(local(), Options{}); return err }, unix.EINVAL},
		{"foreign address", func() error { return shared(app.Listener{Network: "tcp", Host: "192.0.2.1"}) }, unix.EADDRNOTAVAIL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.open()
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
	var unavailable *UnavailableError
	if err := shared(app.Listener{Network: "tcp", Host: "192.0.2.1"}); !errors.As(err, &unavailable) || unavailable.Hint() == "" {
		t.Errorf("error %v, want an UnavailableError with a hint", err)
	}
}

// shared opens and closes.
func shared(l app.Listener) error {
	s, err := OpenShared(l, Options{})
	if err != nil {
		return err
	}
	return s.Close()
}

// Not parallel: it counts the descriptors of the process.
func TestFailedOpenLeaksNothing(t *testing.T) {
	testutil.CheckLeaks(t)
	taken := openShared(t, local(), Options{})
	l := taken.Listener()
	if _, err := OpenSlots(l, 3, Options{}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("error %v, want EADDRINUSE", err)
	}
	if _, err := AddSlot(l, Options{}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("error %v, want EADDRINUSE", err)
	}
	if _, err := OpenSlots(app.Listener{Network: "tcp", Host: "192.0.2.1"}, 3, Options{}); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("error %v, want EADDRNOTAVAIL", err)
	}
}
