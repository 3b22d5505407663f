package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// begun is a request that no worker can answer yet, as the rest of it is missing.
type begun struct {
	t    *testing.T
	conn net.Conn
	rest string
}

// begin sends a request up to its last byte and waits until a worker has it.
func (r *nodeRun) begin() *begun {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(testutil.Deadline(r.t))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		r.t.Fatal(err)
	}
	line, err := bufio.NewReader(io.LimitReader(conn, int64(len("HTTP/1.1 100 Continue\r\n\r\n")))).ReadString('\n')
	if err != nil || !strings.Contains(line, "100") {
		r.t.Fatalf("begin a request: %q, %v", line, err)
	}
	return &begun{r.t, conn, "x"}
}

// finish sends the rest and returns the answer.
func (h *begun) finish() string {
	h.t.Helper()
	if _, err := io.WriteString(h.conn, h.rest); err != nil {
		h.t.Fatal(err)
	}
	answer, err := io.ReadAll(h.conn)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(answer)
}

// A worker that says it is dying has its replacement before it is gone, and finishes what it has begun.
func TestNodeWorkerLeaves(t *testing.T) {
	t.Parallel()
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		for _, way := range []string{"/disconnect", "/suicide"} {
			t.Run(way[1:], func(t *testing.T) {
				t.Parallel()
				r := runNode(t, major, "-i", "1", fixture("app.js"))
				r.serving(1)
				r.load(load.Options{Duration: 1200 * time.Millisecond, ThinkTime: 10 * time.Millisecond}) // it has settled
				request := r.begin()
				old := r.Workers()[0]
				r.ask(way)
				r.WaitLine(`worker is dying: its replacement starts now slot=0 worker=1`)
				r.WaitLine(`worker ready slot=0 worker=2`)
				if got := r.answers(20); len(got) != 1 || got[0] == old {
					t.Errorf("answered by %v, the old one is %d", got, old)
				}
				if answer := request.finish(); !strings.Contains(answer, fmt.Sprintf("pid: %d\n", old)) {
					t.Errorf("the request that %d had begun was answered by %q", old, answer)
				}
				r.WaitLine(fmt.Sprintf(`worker exited slot=0 worker=1 .*pid=%d .*reason=dying`, old))
				r.stopClean()
			})
		}
	})
}

// ask makes one request and wants an answer.
func (r *nodeRun) ask(path string) {
	r.t.Helper()
	if got := r.load(load.Options{Path: path, NewConnPerRequest: true}); got.OK != 1 {
		r.t.Errorf("%s: %s\n%s", path, got, r.Output())
	}
}

// What workers do to themselves costs others nothing: what ends with the worker is the requests that it was serving, where it does not wait
// for them itself.
func TestNodeWorkersEndUnderLoad(t *testing.T) {
	t.Parallel()
	const times, clients = 5, 4
	ways := map[string]struct {
		log  string
		lost int // requests at most
	}{
		"/disconnect": {`worker is dying`, 0},
		"/suicide":    {`worker is dying`, 0},
		"/kill":       {`worker is dying`, times * clients}, // the worker waits for nothing
		"/exit":       {`worker exited .*exit="exit status 7"`, times * clients},
	}
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		for way, want := range ways {
			if major == 26 && want.lost == 0 {
				want.lost = times * clients // its servers close connections, accepted a moment ago, that they have not read from yet
			}
			t.Run(way[1:], func(t *testing.T) {
				t.Parallel()
				r := runNode(t, major, "-i", "2", "--min-uptime", "1ms", fixture("app.js"))
				r.serving(2)
				stop := loadUntil(t, r.addr, load.Options{Clients: clients, Duration: time.Hour, NewConnPerRequest: true})
				for i := range times {
					r.ask(way)
					r.WaitLines(0, i+1, want.log)
					r.WaitLines(0, i+3, `worker ready`)
				}
				got := stop()
				t.Log(got)
				if gone := got.EOF + got.Reset + got.ResetMid + got.Truncated; gone > want.lost || gone != got.Failed() || got.OK == 0 {
					t.Errorf("%d requests failed, %d with their worker", got.Failed(), gone)
				}
				r.stopClean()
			})
		}
	})
}
