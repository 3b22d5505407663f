package muster

import (
	"encoding/json"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	tests := map[string]address{
		":3000":                {"tcp", ":3000"},
		"3000":                 {"tcp", ":3000"},
		"localhost:http":       {"tcp", "localhost:http"},
		"tcp://[::1]:3000":     {"tcp", "[::1]:3000"},
		"tcp4::3000":           {"tcp4", ":3000"},
		"web=tcp6://:3000":     {"tcp6", ":3000"},
		"web=:3000":            {"tcp", ":3000"},
		"unix:/run/x.sock":     {"unix", "/run/x.sock"},
		"unix:///run/x.sock":   {"unix", "/run/x.sock"},
		"unix:/run/a=b.sock":   {"unix", "/run/a=b.sock"},
		"/run/x.sock":          {"unix", "/run/x.sock"},
		"@abstract":            {"unix", "@abstract"},
		"udp://:53":            {"udp", ":53"},
		"dns=udp6://[::1]:53":  {"udp6", "[::1]:53"},
		"unix:relative/x.sock": {"unix", "relative/x.sock"},
	}
	for text, want := range tests {
		if got := parseAddress(text); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// Not parallel: it changes the environment.
func TestDefaultAddress(t *testing.T) {
	for port, want := range map[string]string{"": ":8080", "4000": ":4000", "127.0.0.1:4000": "127.0.0.1:4000"} {
		t.Setenv("PORT", port)
		if got := defaultAddress(); got != want {
			t.Errorf("PORT=%s: %s, want %s", port, got, want)
		}
	}
}

func TestWhoseAddressCounts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		operator []string
		program  []string
		want     [][]address
	}{
		{"program's only", nil, []string{":1", ":2"}, [][]address{{{"tcp", ":1"}}, {{"tcp", ":2"}}}},
		{"operator's for the first", []string{":7"}, []string{":1", ":2"}, [][]address{{{"tcp", ":7"}}, {{"tcp", ":2"}}}},
		{"all for the first", []string{":7", "unix:/x"}, []string{":1"}, [][]address{{{"tcp", ":7"}, {"unix", "/x"}}}},
		{"the same in another order", []string{"tcp://0.0.0.0:2", ":1"}, []string{":1", "0.0.0.0:2"}, [][]address{{{"tcp", ":1"}}, {{"tcp", "0.0.0.0:2"}}}},
		{"no address", []string{":7"}, []string{""}, [][]address{{{"tcp", ":7"}}}},
		{"packets do not count", []string{"udp://:7"}, []string{":1"}, [][]address{{{"tcp", ":1"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &worker{count: newCounter(0), streams: parseAddresses(tt.operator, false)}
			var got [][]address
			for _, a := range tt.program {
				got = append(got, w.streamAddresses("tcp", a))
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(address{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		want address
		have net.Addr
		ok   bool
	}{
		{address{"tcp", ":80"}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}, true},
		{address{"tcp", "0.0.0.0:80"}, &net.TCPAddr{IP: net.IPv6zero, Port: 80}, true},
		{address{"tcp", "127.0.0.1:80"}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, true},
		{address{"tcp", "127.0.0.1:80"}, &net.TCPAddr{IP: net.IPv4zero, Port: 80}, false},
		{address{"tcp", ":81"}, &net.TCPAddr{IP: net.IPv4zero, Port: 80}, false},
		{address{"tcp", ":53"}, &net.UDPAddr{Port: 53}, false},
		{address{"udp", ":53"}, &net.UDPAddr{Port: 53}, true},
		{address{"unix", "/x"}, &net.UnixAddr{Name: "/x"}, true},
		{address{"unix", "/x"}, &net.UnixAddr{Name: "/y"}, false},
	}
	for _, tt := range tests {
		want, err := tt.want.resolve()
		if err != nil {
			t.Fatal(err)
		}
		if got := matches(want, tt.have); got != tt.ok {
			t.Errorf("%v, bound to %v: %v", tt.want, tt.have, got)
		}
	}
}

// The shapes are those that Node's own workers send.
func TestQueryShapes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		a    address
		want string
	}{
		{address{"tcp", ":3000"}, `{"address":null,"port":3000,"addressType":4,"flags":0,"backlog":511}`},
		{address{"tcp4", ":3000"}, `{"address":"0.0.0.0","port":3000,"addressType":4,"flags":0,"backlog":511}`},
		{address{"tcp6", ":3000"}, `{"address":"::","port":3000,"addressType":6,"flags":1,"backlog":511}`},
		{address{"tcp", "127.0.0.1:0"}, `{"address":"127.0.0.1","port":0,"addressType":4,"flags":0,"backlog":511}`},
		{address{"tcp", "[::1]:1"}, `{"address":"::1","port":1,"addressType":6,"flags":0,"backlog":511}`},
		{address{"unix", "/x"}, `{"address":"/x","port":-1,"addressType":-1,"flags":0,"backlog":511}`},
		{address{"udp", ":53"}, `{"address":"::","port":53,"addressType":"udp6","fd":-1,"flags":0}`},
		{address{"udp4", ":53"}, `{"address":"0.0.0.0","port":53,"addressType":"udp4","fd":-1,"flags":0}`},
		{address{"udp", "127.0.0.1:53"}, `{"address":"127.0.0.1","port":53,"addressType":"udp4","fd":-1,"flags":0}`},
		{address{"udp6", ":53"}, `{"address":"::","port":53,"addressType":"udp6","fd":-1,"flags":1}`},
	}
	for _, tt := range tests {
		want, err := tt.a.resolve()
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(newQuery(tt.a.network, want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(members(t, tt.want), members(t, string(b), "cmd", "act", "index", "data", "seq")); diff != "" {
			t.Errorf("%v: %s", tt.a, diff)
		}
	}
}

func members(t *testing.T, text string, without ...string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	for _, k := range without {
		delete(m, k)
	}
	return m
}
