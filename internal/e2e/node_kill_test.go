package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// A worker that is killed takes with it what it had accepted, and nothing else: what waited in its queue is served by others. Not parallel:
// under a load of its own, so that the connections that fail are few.
func TestNodeWorkersAreKilled(t *testing.T) {
	onNode(t, corners, func(t *testing.T, major int) {
		accepted := filepath.Join(t.TempDir(), "accepted")
		r := runPlain(t, major, "-i", "2", "--env", "ACCEPTED="+accepted, fixture("app.js"))
		r.serving(2)
		fresh := loadUntil(t, r.addr, load.Options{Clients: 4, Duration: time.Hour, NewConnPerRequest: true, Timeout: 30 * time.Second})
		kept := loadUntil(t, r.addr, load.Options{Clients: 4, Duration: time.Hour, NoRetry: true, Timeout: 30 * time.Second})
		killed := r.killSome(chaosTime())
		for name, got := range map[string]*load.Result{"new connections": fresh(), "kept connections": kept()} {
			unknown := notAccepted(t, got, accepted, killed)
			t.Logf("%d killed; %s: %d of them were accepted by none of these\n%s", len(killed), name, unknown, got)
			// The moment between the kernel's accept and the worker's note of it is open to a kill as well.
			if unknown > len(killed) || got.Failed() > 4*len(killed) {
				t.Error("more failed than the killed workers can have had")
			}
			if got.Failed() != got.EOF+got.Reset+got.ResetMid+got.Truncated {
				t.Error("a request did not fail with its worker")
			}
		}
		r.stopClean()
	})
}

func chaosTime() time.Duration {
	if os.Getenv("MUSTER_LONG") != "" {
		return 30 * time.Second
	}
	return 6 * time.Second
}

// killSome kills a worker at random about once a second, and returns whom it killed.
func (r *nodeRun) killSome(d time.Duration) (killed []int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), d)
	defer cancel()
	rng, mark := testutil.Rand(r.t), r.Mark()
	testutil.Moments(ctx, rng, 800*time.Millisecond, 1200*time.Millisecond, func() bool {
		mark = r.Mark()
		if pid, ok := testutil.Pick(rng, r.Workers()); ok && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed = append(killed, pid)
		}
		return true
	})
	r.WaitLines(mark, 1, `serving workers=2`)
	return killed
}

// notAccepted counts the failures of clients whose connections none of the workers had accepted.
func notAccepted(t *testing.T, got *load.Result, prefix string, workers []int) (n int) {
	t.Helper()
	ports := map[string]bool{}
	for _, pid := range workers {
		notes, err := os.ReadFile(fmt.Sprintf("%s.%d", prefix, pid))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for port := range strings.FieldsSeq(string(notes)) {
			ports[port] = true
		}
	}
	for _, f := range got.Failures {
		_, port, err := net.SplitHostPort(f.Local)
		if err != nil || !ports[port] {
			n++
		}
	}
	return n
}

// Connections that wait for the only worker survive its end.
func TestNodeQueueSurvivesKill(t *testing.T) {
	t.Parallel()
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		t.Parallel()
		r := runNode(t, major, "-i", "1", fixture("app.js"))
		r.serving(1)
		victim := r.Workers()[0]
		blocked := loadUntil(t, r.addr, load.Options{Path: "/block/60000", Count: 1, NoRetry: true, Timeout: time.Minute})
		r.WaitLine(`blocked$`)
		waiting := r.connect(20)
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for _, request := range waiting {
			if answer := request.finish(); strings.Contains(answer, fmt.Sprintf("pid: %d\n", victim)) || !strings.Contains(answer, "pid: ") {
				t.Errorf("answer %q", answer)
			}
		}
		if got := blocked(); got.OK != 0 {
			t.Error(got)
		}
		r.stopClean()
	})
}

// connect opens so many connections and sends nothing.
func (r *nodeRun) connect(n int) (all []*begun) {
	r.t.Helper()
	for range n {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(testutil.Deadline(r.t))
		all = append(all, &begun{r.t, conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"})
	}
	return all
}
