package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterd/muster"
	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

func init() {
	roles["fickle"] = fickleWorker
}

// acceptedVariable is the beginning of the name of the file in which a fickleWorker notes whom it accepted.
const acceptedVariable = "E2E_ACCEPTED"

// fickleWorker serves, and is as bad as its release. It notes the port of each client when it has accepted it.
func fickleWorker() {
	release := os.Getenv("RELEASE")
	switch release {
	case "crashes":
		fmt.Fprintln(os.Stderr, "cannot open the database")
		os.Exit(3)
	case "uneven":
		if os.Getenv("MUSTER_SLOT") != "0" {
			fmt.Fprintln(os.Stderr, "cannot open the second database")
			os.Exit(5)
		}
	case "gated":
		gate, err := os.Open(gateOf(os.Getenv(acceptedVariable), os.Getenv("MUSTER_SLOT"))) // returns when the test opens it
		if err != nil {
			panic(err)
		}
		_ = gate.Close()
	case "hangs":
		fmt.Fprintln(os.Stderr, "waiting for the database")
		forever()
	}
	notes, err := os.Create(fmt.Sprintf("%s.%d", os.Getenv(acceptedVariable), os.Getpid()))
	if err != nil {
		panic(err)
	}
	var checks atomic.Int32
	answer := func(w http.ResponseWriter, r *http.Request) {
		if release == "breaks" && r.URL.Path == "/health" && checks.Add(1) == 2 {
			fmt.Fprintln(os.Stderr, "the check was too much")
			os.Exit(6)
		}
		if release == "sick" && r.URL.Path == "/health" {
			fmt.Fprintln(os.Stderr, "the database does not answer")
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = fmt.Fprintf(w, "release %s pid: %d\n", release, os.Getpid())
	}
	srv := &http.Server{
		Addr: "127.0.0.1:0", Handler: http.HandlerFunc(answer),
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateNew {
				_, _ = fmt.Fprintln(notes, c.RemoteAddr().(*net.TCPAddr).Port)
			}
		},
		BaseContext: func(net.Listener) context.Context {
			if release == "short" {
				time.AfterFunc(time.Second, func() {
					fmt.Fprintln(os.Stderr, "lost the database")
					os.Exit(4)
				})
			}
			return context.Background()
		},
	}
	if err := muster.Serve(srv); err != nil {
		panic(err)
	}
}

// gateOf is the FIFO at which a worker of the release gated waits, in that slot.
func gateOf(accepted, slot string) string { return filepath.Join(filepath.Dir(accepted), "gate."+slot) }

// startFickle runs a site of fickle workers, of release one.
func startFickle(t *testing.T, workers int, flags ...string) *site {
	t.Helper()
	s := &site{t: t, home: testutil.TempDir(t), dir: testutil.TempDir(t)}
	s.release("one")
	s.run = testutil.Start(t, s.fickle(workers, flags...))
	s.addr = s.run.WaitLine(`master started.*\b(127\.0\.0\.1:\d+)`)[1]
	s.run.WaitLine(fmt.Sprintf(`serving workers=%d$`, workers))
	return s
}

// fickle is the command of startFickle.
func (s *site) fickle(workers int, flags ...string) testutil.Command {
	args := append([]string{
		"run", "--name", "site", "-i", strconv.Itoa(workers), "-l", "127.0.0.1:0", "--env-file", "env", "--env", roleVariable + "=fickle",
		"--env", acceptedVariable + "=" + s.accepted(), "--reload-settle", "50ms",
	}, flags...)
	return testutil.Command{Args: append(args, "--", os.Args[0]), Dir: s.dir, Env: []string{"MUSTER_HOME=" + s.home, "GORACE=atexit_sleep_ms=0"}}
}

func (s *site) accepted() string { return filepath.Join(s.dir, "accepted") }

// crowd puts load on the site until seen is called: clients with a connection for each request, and clients that keep theirs.
func (s *site) crowd() (seen func() []*load.Result) {
	fresh := loadUntil(s.t, s.addr, load.Options{Clients: 3, Duration: time.Hour, NewConnPerRequest: true, ThinkTime: time.Millisecond})
	kept := loadUntil(s.t, s.addr, load.Options{Clients: 3, Duration: time.Hour, ThinkTime: time.Millisecond})
	return func() []*load.Result { return []*load.Result{fresh(), kept()} }
}

// requireOnlyLostIn requires that whatever failed had been accepted by one of these workers, which were killed or crashed. Between the kernel's
// accept and the worker's note of it is a moment: a worker on the SDK may have one connection that it notes and one that waits for that.
func (s *site) requireOnlyLostIn(dead []int, all ...*load.Result) {
	s.t.Helper()
	asked, lost, unknown := 0, 0, 0
	for _, got := range all {
		asked, lost, unknown = asked+got.Requests, lost+got.Failed(), unknown+notAccepted(s.t, got, s.accepted(), dead)
		if torn := got.EOF + got.Reset + got.ResetMid + got.Truncated; got.OK == 0 || got.Failed() != torn {
			s.t.Errorf("%v", got)
		}
	}
	s.t.Logf("%d requests, %d lost in %d workers that died, %d of these not noted by them", asked, lost, len(dead), unknown)
	if unknown > 2*len(dead) || len(dead) == 0 && lost > 0 {
		s.t.Errorf("more were lost than the dead can have had: %v", all)
	}
}

// badReleases are the ways in which a release can be bad.
var badReleases = []struct {
	name   string
	flags  []string
	reason string // printed by the command; of the worker that was tried first
	stderr string // last line of that
}{
	{"crashes", nil, "exit status 3", "cannot open the database"},
	{"hangs", []string{"--start-timeout", "3s"}, "not ready within 3s", "waiting for the database"},
	{"sick", []string{"--start-timeout", "3s", "--health", "http:/health"}, "not ready within 3s: health check /health: status 500 Internal Server Error", "the database does not answer"},
	{"short", []string{"--reload-settle", "4s"}, "exit status 4", "lost the database"},
}

// TestBadReleasesTakeNobody: whichever way a release is bad, nobody notices but who asked for it. After it a rollback has nothing to undo, and
// a good release is as welcome as ever.
func TestBadReleasesTakeNobody(t *testing.T) {
	t.Parallel()
	for _, bad := range badReleases {
		for _, workers := range []int{1, 3} {
			t.Run(fmt.Sprint(bad.name, " ", workers), func(t *testing.T) {
				t.Parallel()
				s := startFickle(t, workers, append([]string{"--handoff", "node"}, bad.flags...)...)
				s.refuses(workers, bad.name, bad.reason, bad.stderr)
			})
		}
	}
	for _, bad := range badReleases {
		if bad.name == "sick" {
			continue // where all share a queue, a check cannot choose whom it asks
		}
		t.Run(bad.name+" inherits", func(t *testing.T) {
			t.Parallel()
			s := startFickle(t, 2, append([]string{"--handoff", "inherit"}, bad.flags...)...)
			s.refuses(2, bad.name, bad.reason, bad.stderr)
		})
	}
}

// TestCanaryThatCrashesIsToldByItsExit: not by the check that its crash broke off. Nor does it count as a worker of the site's that was replaced.
func TestCanaryThatCrashesIsToldByItsExit(t *testing.T) {
	t.Parallel()
	for _, handoff := range []string{"node", "inherit"} {
		t.Run(handoff, func(t *testing.T) {
			t.Parallel()
			s := startFickle(t, 1, "--handoff", handoff, "--health", "http:/health", "--reload-settle", "60s")
			s.release("breaks")
			r := s.require(1, "worker 2 of the new generation: exit status 6", "reload")
			if !strings.Contains(r.stderr, "\n  | the check was too much\n") {
				t.Errorf("stderr: %s", r.stderr)
			}
			s.require(0, `"respawns": 0`, "show", "--json")
		})
	}
}

// refuses reloads to a bad release, then to good ones.
func (s *site) refuses(workers int, release, reason, stderr string) {
	s.t.Helper()
	before := s.pids()
	seen := s.crowd()
	s.release(release)
	r := s.require(1, "reload of site failed: worker "+strconv.Itoa(workers+1)+" of the new generation: "+reason, "reload", "site")
	if !strings.Contains(r.stderr, "\n  | "+stderr+"\n") || !strings.Contains(r.stderr, "\nhint: ") {
		s.t.Errorf("stderr: %s", r.stderr)
	}
	s.run.WaitLine(fmt.Sprintf(`worker (exited|failed|crashed).*worker=%d\b`, workers+1))
	dead := pidIn(s.t, s.run.WaitLine(fmt.Sprintf(`worker started.*worker=%d pid=([0-9]+)`, workers+1)))
	if after := s.pids(); after != before {
		s.t.Errorf("workers were %q and are %q", before, after)
	}
	s.requireRelease("one")
	s.require(1, "there is no generation to go back to", "rollback")
	if all := seen(); release == "short" {
		s.requireOnlyLostIn([]int{dead}, all...)
	} else {
		s.requireOnlyLostIn(nil, all...)
	}

	seen = s.crowd()
	s.release("two")
	s.require(0, "reloaded site: ", "reload")
	s.requireRelease("two")
	s.require(0, "rolled site back: ", "rollback")
	s.requireRelease("one")
	s.requireOnlyLostIn(nil, seen()...)
	s.require(0, "stopped site", "stop")
	if code := s.run.WaitExit().ExitCode(); code != 0 {
		s.t.Errorf("muster ended with %d", code)
	}
}

// TestReleaseThatFailsLaterIsTakenBack: the first new worker serves, those of the other slots do not come up. The first goes again, and its
// predecessor is back before that.
func TestReleaseThatFailsLaterIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, handoff := range []string{"node", "inherit"} {
		t.Run(handoff, func(t *testing.T) {
			t.Parallel()
			s := startFickle(t, 3, "--handoff", handoff)
			before := strings.Fields(s.pids())
			seen := s.crowd()
			s.release("uneven")
			r := s.require(1, "of the new generation: exit status 5", "reload")
			if !strings.Contains(r.stderr, "\n  | cannot open the second database\n") {
				t.Errorf("stderr: %s", r.stderr)
			}
			s.run.WaitLine(`worker exited slot=0 worker=4 .* reason=(superseded|abandoned)`)
			poll(t, "return to the good release", func() bool { return len(strings.Fields(s.pids())) == 3 })
			after := strings.Fields(s.pids())
			if after[1] != before[1] || after[2] != before[2] || after[0] == before[0] {
				t.Errorf("workers were %v and are %v", before, after)
			}
			s.requireRelease("one")
			s.release("two")
			s.require(0, "reloaded site", "reload")
			s.requireRelease("two")
			s.requireOnlyLostIn(nil, seen()...)
			s.require(0, "stopped site", "stop")
		})
	}
}
