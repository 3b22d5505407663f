package notify

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func lookup(env ...string) func(string) string {
	return func(key string) string {
		for _, entry := range env {
			if value, ok := strings.CutPrefix(entry, key+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestListenEnv(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		names []string
		want  []string
	}{
		{"none", nil, nil},
		{"one", []string{"http"}, []string{"LISTEN_FDS=1", "LISTEN_PID=7", "LISTEN_FDNAMES=http"}},
		{"unnamed", []string{"", "x"}, []string{"LISTEN_FDS=2", "LISTEN_PID=7", "LISTEN_FDNAMES=unknown:x"}},
		{
			"invalid", []string{"a:b", "ü", strings.Repeat("n", 256)},
			[]string{"LISTEN_FDS=3", "LISTEN_PID=7", "LISTEN_FDNAMES=unknown:unknown:unknown"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, ListenEnv(7, tt.names)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseListenEnv(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  []string
		want []string
		err  []string
	}{
		{name: "none"},
		{name: "no pid", env: []string{"LISTEN_FDS=1"}},
		{name: "another's", env: []string{"LISTEN_FDS=1", "LISTEN_PID=8"}},
		{name: "another's, wrong", env: []string{"LISTEN_FDS=x", "LISTEN_PID=8"}},
		{name: "ours", env: []string{"LISTEN_FDS=2", "LISTEN_PID=7", "LISTEN_FDNAMES=a:b"}, want: []string{"a", "b"}},
		{name: "unnamed", env: []string{"LISTEN_FDS=3", "LISTEN_PID=7"}, want: []string{"unknown", "unknown", "unknown"}},
		{name: "one unnamed", env: []string{"LISTEN_FDS=1", "LISTEN_PID=7"}, want: []string{"unknown"}},
		{name: "partly named", env: []string{"LISTEN_FDS=2", "LISTEN_PID=7", "LISTEN_FDNAMES=a:"}, want: []string{"a", "unknown"}},
		{name: "zero", env: []string{"LISTEN_FDS=0", "LISTEN_PID=7"}},
		{name: "bad pid", env: []string{"LISTEN_FDS=1", "LISTEN_PID=me"}, err: []string{"LISTEN_PID"}},
		{name: "bad count", env: []string{"LISTEN_FDS=-1", "LISTEN_PID=7"}, err: []string{"LISTEN_FDS"}},
		{name: "huge count", env: []string{"LISTEN_FDS=2000000000", "LISTEN_PID=7"}, err: []string{"LISTEN_FDS"}},
		{name: "too few names", env: []string{"LISTEN_FDS=2", "LISTEN_PID=7", "LISTEN_FDNAMES=a"}, err: []string{"1 names for 2"}},
		{name: "bad name", env: []string{"LISTEN_FDS=1", "LISTEN_PID=7", "LISTEN_FDNAMES=a\tb"}, err: []string{"LISTEN_FDNAMES"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseListenEnv(lookup(tt.env...), 7)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkError(t, err, tt.err)
		})
	}
}

func TestListenEnvRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.StringMatching(`[ -9;-~]{1,255}`), 1, 20).Draw(t, "names")
		pid := rapid.IntRange(1, 1<<22).Draw(t, "pid")
		got, err := ParseListenEnv(lookup(ListenEnv(pid, want)...), pid)
		if err != nil || !cmp.Equal(want, got) {
			t.Fatalf("%q became %q, error %v", want, got, err)
		}
	})
}

func TestMeantFor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  []string
		id   uint64
		want bool
		err  []string
	}{
		{name: "not set", id: 5, want: true},
		{name: "kernel cannot tell", env: []string{"LISTEN_PIDFDID=4"}, want: true},
		{name: "ours", env: []string{"LISTEN_PIDFDID=5"}, id: 5, want: true},
		{name: "another's", env: []string{"LISTEN_PIDFDID=4"}, id: 5},
		{name: "bad", env: []string{"LISTEN_PIDFDID=x"}, id: 5, err: []string{"LISTEN_PIDFDID"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := MeantFor(lookup(tt.env...), tt.id)
			if got != tt.want {
				t.Errorf("got %v", got)
			}
			checkError(t, err, tt.err)
		})
	}
}

func TestCleanEnv(t *testing.T) {
	t.Parallel()
	env := []string{
		"PATH=/bin", "LISTEN_FDS=1", "LISTEN_PIDFDID=9", "HOME=/", "NODE_CHANNEL_FD=3", "EINHORN_FD_12=4", "EINHORN_FD_X=y",
		"PUMA_INHERIT_0=3:tcp://x", "PUMA_INHERIT_=", "CREDENTIALS_DIRECTORY=/run/c", "NOTIFY_SOCKET=@x", "MUSTER_HOME=/m", "odd", "=C:",
	}
	want := []string{"PATH=/bin", "HOME=/", "EINHORN_FD_X=y", "PUMA_INHERIT_=", "CREDENTIALS_DIRECTORY=/run/c", "MUSTER_HOME=/m", "odd", "=C:"}
	if diff := cmp.Diff(want, CleanEnv(env)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range Inherited {
		if got := CleanEnv([]string{name + "=1"}); len(got) > 0 {
			t.Errorf("%s stayed", name)
		}
	}
}
