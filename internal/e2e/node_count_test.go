package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// A Node worker is recycled after its connections, whatever kind of program it is.
func TestNodeWorkerIsRecycledAfterItsConnections(t *testing.T) {
	t.Parallel()
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		t.Parallel()
		programs := []string{"plain.cjs", "plain.mjs"}
		if major >= 22 {
			programs = append(programs, "typed.ts")
		}
		for _, program := range programs {
			t.Run(program, func(t *testing.T) {
				t.Parallel()
				r := runNode(t, major, "-i", "1", "--max-requests", "20", fixture(program))
				r.serving(1)
				r.answers(30)
				r.requireRecycled(18, 22)
				r.stopClean()
			})
		}
	})
}

// requireRecycled waits until worker 1 has been replaced for its connections, of which there were so many.
func (r *nodeRun) requireRecycled(least, most int) {
	r.t.Helper()
	m := r.WaitLine(`recycling slot=0 worker=1 reason="has accepted (\d+) connections \(the limit is`)
	if n, _ := strconv.Atoi(m[1]); n < least || n > most {
		r.t.Errorf("recycled at %d connections", n)
	}
	r.WaitLine(`worker exited slot=0 worker=1 exit="exit status 0".*recycled=`)
}

// Requests on one connection count once; connections do that the master took out of another worker's queue.
func TestNodeConnectionsAreCounted(t *testing.T) {
	t.Parallel()
	r := runPlain(t, 22, "-i", "2", "--max-requests", "20", fixture("app.js"))
	r.serving(2)
	r.load(load.Options{Clients: 1, Count: 200})
	stop := loadUntil(t, r.addr, load.Options{Path: "/block/60000", Count: 1, NoRetry: true})
	r.WaitLine(`blocked$`)
	r.answers(25) // half of them, too many to do without, come by way of the blocked worker's queue
	r.WaitLine(`recycling slot=\d worker=\d+ reason="has accepted (18|19|20|21|22) connections`)
	stop()
}

// The plain fork of the message hand-off has the channel too.
func TestNodeMessageWorkerCountsConnections(t *testing.T) {
	t.Parallel()
	r := runMessage(t, 24, `process.on('message', (m, server) => {
	require('node:http').createServer((q, s) => s.end('pid: ' + process.pid + '\n')).listen(server);
});
process.on('SIGTERM', () => process.exit(0));`)
	r.serving(1)
	r.answers(30)
	r.requireRecycled(18, 22)
	r.stopClean()
}

// A program that has nothing to do ends as it does without a limit.
func TestNodeCountingKeepsNobodyAlive(t *testing.T) {
	t.Parallel()
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		t.Parallel()
		r := runMessage(t, major, `console.log("at its end")`)
		r.WaitLine(`worker exited slot=0 worker=1 exit="exit status 0"`)
	})
}

// runMessage runs one worker of this code, to which its socket comes by message, with a limit of 20 connections.
func runMessage(t *testing.T, major int, code string) *nodeRun {
	t.Helper()
	file := filepath.Join(testutil.TempDir(t), "worker.js")
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	port := testutil.Port(t)
	r := runNodeOn(t, major, 0, nil, "-i", "1", "--handoff", "message", "-l", hostPort(port), "--max-requests", "20", file)
	r.addr = hostPort(port)
	return r
}

// What counts leaves no trace: neither in the program, whose own options hold, nor in its children and threads. It asks for no more than the
// permission model grants.
func TestNodeCountingIsNotSeen(t *testing.T) {
	t.Parallel()
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		t.Parallel()
		dir := filepath.Join(testutil.TempDir(t), `a "b"`)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		own := filepath.Join(filepath.Dir(dir), "own.cjs")
		if err := os.WriteFile(own, []byte("globalThis.loaded = process.env.NODE_OPTIONS"), 0o600); err != nil {
			t.Fatal(err)
		}
		options := "--no-warnings --require " + own
		r := runNodeOn(t, major, testutil.Port(t), []string{"NODE_OPTIONS=" + options, "MUSTER_HOME=" + dir}, "-i", "1", "--max-requests", "5", fixture("count.js"))
		r.serving(1)
		want := "self " + options + ",; child " + options + ",; thread " + options + ",; loaded " + options + "\n"
		if got := r.text(); !strings.HasSuffix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		r.answers(10)
		r.requireRecycled(4, 6)
		r.stopClean()
	})
	t.Run("permission", func(t *testing.T) {
		t.Parallel()
		r := runNode(t, 24, "-i", "1", "--max-requests", "5", "--", "node", "--permission", "--allow-fs-read="+fixture(""), fixture("plain.cjs"))
		r.serving(1)
		r.answers(10)
		r.requireRecycled(4, 6)
		r.stopClean()
	})
}

func (r *nodeRun) text() string {
	r.t.Helper()
	resp, err := http.Get("http://" + r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(body)
}
