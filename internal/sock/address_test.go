package sock

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	loopback := [16]byte{15: 1}
	tests := []struct {
		name   string
		l      app.Listener
		v6only bool
		want   []endpoint
		reason string // of the error
	}{
		{"any host", app.Listener{Network: "tcp", Port: 80}, false, []endpoint{
			{unix.AF_INET6, &unix.SockaddrInet6{Port: 80}, false},
			{unix.AF_INET, &unix.SockaddrInet4{Port: 80}, false},
		}, ""},
		{"any host, no IPv4", app.Listener{Network: "tcp"}, true, []endpoint{{unix.AF_INET6, &unix.SockaddrInet6{}, true}}, ""},
		{"any IPv4", app.Listener{Network: "udp4"}, false, []endpoint{{unix.AF_INET, &unix.SockaddrInet4{}, false}}, ""},
		{"any IPv6", app.Listener{Network: "tcp6"}, false, []endpoint{{unix.AF_INET6, &unix.SockaddrInet6{}, true}}, ""},
		{"IPv6 literal of any host", app.Listener{Network: "tcp", Host: "::"}, false,
			[]endpoint{{unix.AF_INET6, &unix.SockaddrInet6{}, false}}, ""},
		{"IPv4 literal of any host", app.Listener{Network: "tcp", Host: "0.0.0.0"}, false,
			[]endpoint{{unix.AF_INET, &unix.SockaddrInet4{}, false}}, ""},
		{"IPv6 literal", app.Listener{Network: "tcp", Host: "::1", Port: 1}, false,
			[]endpoint{{unix.AF_INET6, &unix.SockaddrInet6{Port: 1, Addr: loopback}, true}}, ""},
		{"zone by number", app.Listener{Network: "tcp", Host: "::1%7"}, false,
			[]endpoint{{unix.AF_INET6, &unix.SockaddrInet6{Addr: loopback, ZoneId: 7}, true}}, ""},
		{"mapped IPv4", app.Listener{Network: "tcp", Host: "::ffff:127.0.0.1"}, false,
			[]endpoint{{unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, false}}, ""},
		{"zone of no interface", app.Listener{Network: "tcp", Host: "fe80::1%nope"}, false, nil, `no network interface "nope"`},
		{"name", app.Listener{Network: "tcp", Host: "localhost"}, false, nil, "not an IP address"},
		{"IPv4 on tcp6", app.Listener{Network: "tcp6", Host: "127.0.0.1"}, false, nil, "an IPv4 address"},
		{"IPv6 on tcp4", app.Listener{Network: "tcp4", Host: "::1"}, false, nil, "an IPv6 address"},
		{"port", app.Listener{Network: "tcp", Port: 65536}, false, nil, "between 0 and 65535"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := endpoints(tt.l, tt.v6only)
			if tt.reason != "" {
				var addr *AddressError
				if !errors.As(err, &addr) || !strings.Contains(addr.Reason, tt.reason) || !errors.Is(err, unix.EINVAL) {
					t.Fatalf("error %v, want one with %q", err, tt.reason)
				}
				return
			}
			check(t, err)
			if len(got) != len(tt.want) {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
			for i, e := range got {
				if e.domain != tt.want[i].domain || e.v6only != tt.want[i].v6only || !sameSockaddr(e.sa, tt.want[i].sa) {
					t.Errorf("%d: got %v, want %v", i, e, tt.want[i])
				}
			}
		})
	}
}

// sameSockaddr compares the exported fields; the others are the package's scratch space.
func sameSockaddr(a, b unix.Sockaddr) bool {
	if a, ok := a.(*unix.SockaddrInet6); ok {
		b, ok := b.(*unix.SockaddrInet6)
		return ok && a.Port == b.Port && a.Addr == b.Addr && a.ZoneId == b.ZoneId
	}
	x, y := a.(*unix.SockaddrInet4), b.(*unix.SockaddrInet4)
	return x.Port == y.Port && x.Addr == y.Addr
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	tests := []struct {
		l    app.Listener
		want string
	}{
		{app.Listener{Network: "tcp", Port: 3000}, ":3000"},
		{app.Listener{Name: "web", Network: "tcp", Host: "::1", Port: 3000}, "web ([::1]:3000)"},
		{app.Listener{Name: "dns", Network: "udp", Port: 53}, "dns (udp://:53)"},
		{app.Listener{Name: "unix:/run/s", Network: "unix", Path: "/run/s"}, "unix:/run/s"},
	}
	for _, tt := range tests {
		if got := describe(tt.l); got != tt.want {
			t.Errorf("describe(%+v) = %q, want %q", tt.l, got, tt.want)
		}
	}
}
