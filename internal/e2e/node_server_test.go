package e2e

import (
	"strconv"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// A server as most are: the master opens what it listens on, or has it open already.
func TestNodeServer(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		program string
		workers int
		listen  bool // muster is told the address
	}{
		{"one", "plain.cjs", 1, false},
		{"script", "plain.cjs", 2, false},
		{"script, declared", "plain.cjs", 4, true},
		{"module", "plain.mjs", 4, false},
		{"module, declared", "plain.mjs", 2, true},
	}
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		for _, tt := range cases {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				testServer(t, major, tt.program, tt.workers, tt.listen)
			})
		}
	})
	t.Run("eight", func(t *testing.T) {
		t.Parallel()
		testServer(t, 22, "app.js", 8, false)
	})
}

func testServer(t *testing.T, major int, program string, workers int, listen bool) {
	args := []string{"-i", strconv.Itoa(workers)}
	port := testutil.Port(t)
	if listen {
		args = append(args, "-l", hostPort(port))
	}
	r := runNodeOn(t, major, port, nil, append(args, fixture(program))...)
	r.serving(workers)
	if got := len(r.Workers()); got != workers {
		t.Errorf("%d workers run, not %d", got, workers)
	}
	r.allAnswer()
	r.stopClean()
}

// A program that knows no port but PORT gets that of its listener.
func TestNodePortOfListener(t *testing.T) {
	t.Parallel()
	onNode(t, corners, func(t *testing.T, major int) {
		t.Parallel()
		r := runNodeOn(t, major, 0, nil, "-i", "2", "-l", "127.0.0.1:0", fixture("plain.cjs"))
		r.addr = r.WaitLine(`master started.* listen=\S+//(127\.0\.0\.1:\d+)`)[1]
		r.serving(2)
		r.allAnswer()
		r.stopClean()
	})
}
