package app_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/app"
	"pgregory.net/rapid"
)

func TestParseListener(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want app.Listener
	}{
		{":3000", app.Listener{Name: "tcp-3000", Network: "tcp", Port: 3000}},
		{"3000", app.Listener{Name: "tcp-3000", Network: "tcp", Port: 3000}},
		{" :3000 ", app.Listener{Name: "tcp-3000", Network: "tcp", Port: 3000}},
		{"*:3000", app.Listener{Name: "tcp-3000", Network: "tcp", Port: 3000}},
		{":0", app.Listener{Name: "tcp-0", Network: "tcp"}},
		{"[::]:3000", app.Listener{Name: "tcp-3000", Network: "tcp", Port: 3000}},
		{"0.0.0.0:3000", app.Listener{Name: "tcp-3000", Network: "tcp4", Port: 3000}},
		{"127.0.0.1:3000", app.Listener{Name: "tcp-3000", Network: "tcp4", Host: "127.0.0.1", Port: 3000}},
		{"[::1]:3000", app.Listener{Name: "tcp-3000", Network: "tcp6", Host: "::1", Port: 3000}},
		{"[0:0::1]:3000", app.Listener{Name: "tcp-3000", Network: "tcp6", Host: "::1", Port: 3000}},
		{"[::ffff:10.0.0.1]:3000", app.Listener{Name: "tcp-3000", Network: "tcp4", Host: "10.0.0.1", Port: 3000}},
		{"[fe80::1%eth0]:3000", app.Listener{Name: "tcp-3000", Network: "tcp6", Host: "fe80::1%eth0", Port: 3000}},
		{"localhost:3000", app.Listener{Name: "tcp-3000", Network: "tcp4", Host: "127.0.0.1", Port: 3000}},
		{"tcp://:3000", app.Listener{Name: "tcp-3000", Network: "tcp", Port: 3000}},
		{"tcp://[::1]:3000", app.Listener{Name: "tcp-3000", Network: "tcp6", Host: "::1", Port: 3000}},
		{"tcp4://:3000", app.Listener{Name: "tcp-3000", Network: "tcp4", Port: 3000}},
		{"tcp6://3000", app.Listener{Name: "tcp-3000", Network: "tcp6", Port: 3000}},
		{"tcp6://[::]:3000", app.Listener{Name: "tcp-3000", Network: "tcp6", Port: 3000}},
		{"tcp6://localhost:3000", app.Listener{Name: "tcp-3000", Network: "tcp6", Host: "::1", Port: 3000}},
		{"udp://:53", app.Listener{Name: "udp-53", Network: "udp", Port: 53}},
		{"udp6://[::1]:53", app.Listener{Name: "udp-53", Network: "udp6", Host: "::1", Port: 53}},
		{"unix:/run/x.sock", app.Listener{Name: "unix-x.sock", Network: "unix", Path: "/run/x.sock"}},
		{"unix:///run//x.sock", app.Listener{Name: "unix-x.sock", Network: "unix", Path: "/run/x.sock"}},
		{"unix:rel.sock", app.Listener{Name: "unix-rel.sock", Network: "unix", Path: "rel.sock"}},
		{"unix:./a/../rel.sock", app.Listener{Name: "unix-rel.sock", Network: "unix", Path: "rel.sock"}},
		{"unix:/run/a=b c.sock", app.Listener{Name: "unix-a-b-c.sock", Network: "unix", Path: "/run/a=b c.sock"}},
		{"web=:3000", app.Listener{Name: "web", Network: "tcp", Port: 3000}},
		{"admin.v1=unix:/run/x.sock", app.Listener{Name: "admin.v1", Network: "unix", Path: "/run/x.sock"}},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			t.Parallel()
			got, err := app.ParseListener(test.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseListenerErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, message, hint string }{
		{"", `listen: the address is empty`, "write :3000"},
		{":99999", `listen ":99999": the port 99999 is out of range`, "0 to 65535"},
		{"99999999999999999999999", `the port 99999999999999999999999 is out of range`, "0 to 65535"},
		{":http", `listen ":http": the port "http" is not a number`, "write :80"},
		{":-1", `the port "-1" is not a number`, "0 to 65535"},
		{":", `the port is missing`, "write a port after the colon"},
		{"127.0.0.1", `listen "127.0.0.1": the port is missing`, "write :3000"},
		{"::1:3000", `an IPv6 address needs brackets`, "[::1]:3000"},
		{"example.com:80", `the host "example.com" is not an IP address`, "write the address itself"},
		{"tcp4://[::1]:80", `::1 is not an address of tcp4`, "write tcp6://"},
		{"http://:80", `the network "http" is not known`, "write :3000"},
		{"/run/x.sock", `is not an address`, "for a Unix socket write unix:/run/x.sock"},
		{"x.sock", `the port is missing`, "for a Unix socket write unix:x.sock"},
		{"unix:", `the path of the socket is missing`, "unix:/run/x.sock"},
		{"unix:/run/", `names a directory`, "unix:/run/x.sock"},
		{"unix:..", `names a directory`, "unix:/run/x.sock"},
		{"unix:@x", `abstract sockets are not supported`, "path of a file"},
		{"unix:a\x00b", `holds a NUL`, ""},
		{"unix:/" + strings.Repeat("x", 107), `has 108 bytes, more than 107`, "shorter name"},
		{"=:3000", `the name before = may hold`, ""},
		{"a b=:3000", `the name before = may hold`, ""},
		{"web=", `listen "web=": the address is empty`, "write :3000"},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			t.Parallel()
			_, err := app.ParseListener(test.in)
			checkError(t, err, test.message, test.hint)
		})
	}
}

// checkError fails unless err is an *app.Error of one line that has the given parts.
func checkError(t *testing.T, err error, message, hint string) {
	t.Helper()
	var e *app.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *app.Error", err)
	}
	if !strings.Contains(e.Error(), message) || strings.Contains(e.Error(), "\n") {
		t.Errorf("message %q does not hold %q", e, message)
	}
	if !strings.Contains(e.Hint, hint) || hint == "" && e.Hint != "" {
		t.Errorf("hint %q does not hold %q", e.Hint, hint)
	}
}

func TestListenersOfAnApp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lines []string
		want  []string
	}{
		{"none", nil, []string{}},
		{"different", []string{":3000", ":3001"}, []string{"tcp-3000=tcp://:3000", "tcp-3001=tcp://:3001"}},
		{"same port, other address", []string{"127.0.0.1:80", "127.0.0.2:80", "[::1]:80"}, []string{"tcp-80=tcp4://127.0.0.1:80", "tcp-80-2=tcp4://127.0.0.2:80", "tcp-80-3=tcp6://[::1]:80"}},
		{"both families apart", []string{"tcp4://:80", "tcp6://:80"}, []string{"tcp-80=tcp4://:80", "tcp-80-2=tcp6://:80"}},
		{"tcp and udp", []string{":53", "udp://:53"}, []string{"tcp-53=tcp://:53", "udp-53=udp://:53"}},
		{"any port twice", []string{":0", ":0"}, []string{"tcp-0=tcp://:0", "tcp-0-2=tcp://:0"}},
		{"a chosen name wins", []string{"127.0.0.1:80", "tcp-80=127.0.0.2:80"}, []string{"tcp-80-2=tcp4://127.0.0.1:80", "tcp-80=tcp4://127.0.0.2:80"}},
		{"sockets in two directories", []string{"unix:/a/x.sock", "unix:/b/x.sock"}, []string{"unix-x.sock=unix:/a/x.sock", "unix-x.sock-2=unix:/b/x.sock"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, err := app.New(app.Spec{Command: []string{"x"}, Listen: test.lines})
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, l := range a.Listeners {
				got = append(got, l.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestListenersThatCollide(t *testing.T) {
	t.Parallel()
	tests := []struct{ first, second, reason string }{
		{":3000", ":3000", "overlaps with"},
		{":3000", "3000", "overlaps with"},
		{":3000", "0.0.0.0:3000", "overlaps with"},
		{":3000", "a=127.0.0.1:3000", "overlaps with"},
		{"[::1]:3000", ":3000", "overlaps with"},
		{"tcp6://:3000", "[::1]:3000", "overlaps with"},
		{"127.0.0.1:3000", "localhost:3000", "overlaps with"},
		{"udp://:53", "udp4://:53", "overlaps with"},
		{"unix:x.sock", "unix:./x.sock", "overlaps with"},
		{"web=:1", "web=:2", "has the same name as"},
	}
	for _, test := range tests {
		t.Run(test.first+" "+test.second, func(t *testing.T) {
			t.Parallel()
			_, err := app.New(app.Spec{Command: []string{"x"}, Listen: []string{":1234", test.first, test.second}})
			checkError(t, err, `listen "`+test.second+`": `+test.reason+` "`+test.first+`"`, "e")
		})
	}
}

func TestAppIn(t *testing.T) {
	t.Parallel()
	a, err := app.New(app.Spec{Command: []string{"x"}, Listen: []string{"unix:run/x.sock", "unix:/run/y.sock", ":1"}})
	if err != nil {
		t.Fatal(err)
	}
	in, err := a.In("/srv")
	if err != nil {
		t.Fatal(err)
	}
	if in.Listeners[0].Path != "/srv/run/x.sock" || in.Listeners[1].Path != "/run/y.sock" || a.Listeners[0].Path != "run/x.sock" {
		t.Errorf("got %v, and left %v", in.Listeners, a.Listeners)
	}
	_, err = a.In("/" + strings.Repeat("d", 100))
	checkError(t, err, `listen "unix:run/x.sock": the path of the socket has 112 bytes`, "shorter")

	same, err := app.New(app.Spec{Command: []string{"x"}, Listen: []string{"unix:/srv/x.sock", "unix:x.sock"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = same.In("/srv")
	checkError(t, err, `overlaps with "unix:/srv/x.sock"`, "drop one")
}

func FuzzParseListener(f *testing.F) {
	for _, seed := range []string{":3000", "3000", "[::1]:3000", "tcp6://localhost:1", "unix:/run/x.sock", "web=udp://:53", "a=b=c", "unix:a=b", "unix://.", "unix:./@", "[fe80::1%a]:1", "", "tcp://"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := app.ParseListener(text)
		if err != nil {
			checkError(t, err, "", hintOf(err))
			return
		}
		again, err := app.ParseListener(l.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", text, l, err)
		}
		if diff := cmp.Diff(l, again); diff != "" {
			t.Errorf("%q became %q: %s", text, l, diff)
		}
	})
}

func hintOf(err error) string {
	var e *app.Error
	errors.As(err, &e)
	return e.Hint
}

// TestNamesAreUnique draws listeners at random: whatever New accepts has distinct names that LISTEN_FDNAMES can carry.
func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	line := rapid.Custom(func(t *rapid.T) string {
		name := rapid.SampledFrom([]string{"", "", "web=", "tcp-80=", "tcp-80-2="}).Draw(t, "name")
		return name + rapid.SampledFrom([]string{":80", "127.0.0.1:80", "127.0.0.2:80", "[::1]:80", "udp://:80", ":0", "unix:/a/x", "unix:/b/x"}).Draw(t, "address")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, err := app.New(app.Spec{Command: []string{"x"}, Listen: rapid.SliceOfN(line, 0, 8).Draw(t, "lines")})
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, l := range a.Listeners {
			if seen[l.Name] || len(l.Name) > 255 || strings.ContainsAny(l.Name, ":\n") {
				t.Errorf("bad name in %v", a.Listeners)
			}
			seen[l.Name] = true
		}
	})
}
