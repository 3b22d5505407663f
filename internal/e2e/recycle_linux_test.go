package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/musterd/muster"
	"github.com/musterd/muster/internal/testutil"
)

func init() { roles["hog"] = hog }

// hog serves its process id, with /grow keeps some memory more, and with /hold serves a request without end; of both only the one that is
// meant by pid, if any is.
func hog() {
	var kept [][]byte
	var mu sync.Mutex
	answer := func(w http.ResponseWriter, r *http.Request) {
		meant := r.FormValue("pid") == "" || r.FormValue("pid") == strconv.Itoa(os.Getpid())
		switch {
		case r.URL.Path == "/grow" && meant:
			block := make([]byte, 96<<20)
			for i := 0; i < len(block); i += os.Getpagesize() {
				block[i] = 1
			}
			mu.Lock()
			defer mu.Unlock()
			kept = append(kept, block)
			_, _ = fmt.Fprintf(w, "pid: %d, grown to %d\n", os.Getpid(), len(kept))
		case r.URL.Path == "/hold" && meant:
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case r.URL.Path == "/hold":
			w.WriteHeader(http.StatusNotFound)
		default:
			_, _ = fmt.Fprintf(w, "pid: %d\n", os.Getpid())
		}
	}
	if err := muster.ListenAndServe("127.0.0.1:0", http.HandlerFunc(answer)); err != nil {
		panic(err)
	}
}

// startHogs starts a site of n hogs.
func startHogs(t *testing.T, n int, flags ...string) *site {
	t.Helper()
	s := &site{t: t, home: testutil.TempDir(t), dir: testutil.TempDir(t)}
	args := []string{"run", "--name", "site", "-i", strconv.Itoa(n), "-l", "127.0.0.1:0", "--handoff", "node", "--env", roleVariable + "=hog"}
	s.run = testutil.Start(t, testutil.Command{
		Args: append(append(args, flags...), "--", os.Args[0]), Dir: s.dir, Env: []string{"MUSTER_HOME=" + s.home, "GORACE=atexit_sleep_ms=0"},
	})
	s.addr = s.run.WaitLine(`master started.*\b(127\.0\.0\.1:\d+)`)[1]
	s.run.WaitLine(`serving workers=` + strconv.Itoa(n) + `$`)
	return s
}

// request is one on a connection of its own.
func (s *site) request(path string) *http.Request {
	s.t.Helper()
	req, err := http.NewRequestWithContext(testutil.Context(s.t), http.MethodGet, "http://"+s.addr+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Close = true
	return req
}

// text is what a worker answers.
func (s *site) text(path string) string {
	s.t.Helper()
	resp, err := http.DefaultClient.Do(s.request(path))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return string(body)
}

func TestAgedWorkersAreRecycledOneAtATimeUnderLoad(t *testing.T) {
	t.Parallel()
	s := startHogs(t, 3, "--max-age", "1s")
	s.underLoad(func() {
		for _, worker := range []string{"1", "2", "3"} {
			s.run.WaitLine(`worker exited slot=\d worker=` + worker + ` .*recycled="has served for `)
		}
	})
	recycling := 0
	for line := range strings.Lines(s.run.Output()) {
		if strings.Contains(line, " recycling slot=") {
			recycling++
		}
		if strings.Contains(line, "worker exited") {
			recycling--
		}
		if recycling > 1 {
			t.Fatalf("two at a time:\n%s", s.run.Output())
		}
	}
	s.require(0, "was replaced by a fresh one", "explain")
	s.require(0, "is to be replaced by a fresh one: it has served for", "events")
	s.require(0, `"recycled": "has served for`, "show", "--json")
}

func TestWorkerOverItsMemoryIsRecycled(t *testing.T) {
	t.Parallel()
	s := startHogs(t, 1, "--max-memory", "100M")
	first := s.pids()
	s.text("/grow")
	s.run.WaitLine(`recycling slot=0 worker=1 reason="uses \d+M of memory, the limit is 100M"`)
	s.run.WaitLine(`worker exited slot=0 worker=1 exit="exit status 0".*recycled="uses `)
	if now := s.pids(); now == first || strings.Count(now, "\n") != 1 {
		t.Errorf("workers were %q and are %q", first, now)
	}
	s.require(0, "worker 1 was replaced by a fresh one", "explain")
}

// The memory of a worker is that of its whole tree: here a shell serves nothing, and what it started uses too much.
func TestMemoryIsThatOfTheTree(t *testing.T) {
	t.Parallel()
	r := testutil.StartMuster(t, "run", "--name", "tree", "--ready", "start", "--max-memory", "30M", "--", "sh", "-c",
		`head -c 64m /dev/zero | tail -c 64m | { sleep 1000; cat; } & wait`)
	r.WaitLine(`recycling slot=0 worker=1 reason="uses \d+M of memory, the limit is 30M"`)
}

func TestWorkerOverItsHardLimitDoesNotWaitForItsTurn(t *testing.T) {
	t.Parallel()
	s := startHogs(t, 2, "--max-memory", "100M", "--max-memory-hard", "350M", "--stop-timeout", "60s")
	pids := strings.Fields(s.pids())
	release := s.hold(pids[0])
	defer release()
	s.grow(pids[0])
	s.run.WaitLine(`recycling slot=0 worker=1 reason="uses \d+M of memory, the limit is 100M"`)
	s.grow(pids[1]) // over the limit; but it is not its turn while the first one has not ended
	for range 3 {
		s.grow(pids[1])
	}
	s.run.WaitLine(`recycling slot=1 worker=2 reason="uses \d+M of memory, the hard limit is 350M"`)
	s.run.WaitLine(`worker exited slot=1 worker=2 exit="exit status 0"`)
	if strings.Contains(s.run.Output(), "worker exited slot=0") {
		t.Error("the first one has ended meanwhile: nothing is proved")
	}
}

// grow lets that worker use more.
func (s *site) grow(pid string) {
	s.t.Helper()
	for !strings.Contains(s.text("/grow?pid="+pid), "grown") {
	}
}

// hold keeps a request of that worker from ending, until release.
func (s *site) hold(pid string) (release func()) {
	s.t.Helper()
	for {
		resp, err := http.DefaultClient.Do(s.request("/hold?pid=" + pid))
		if err != nil {
			s.t.Fatal(err)
		}
		if resp.StatusCode == http.StatusOK {
			return func() { _ = resp.Body.Close() }
		}
		_ = resp.Body.Close()
	}
}

func TestWorkerIsRecycledAfterItsConnections(t *testing.T) {
	t.Parallel()
	s := startHogs(t, 1, "--max-requests", "20")
	for range 30 {
		s.text("/")
	}
	m := s.run.WaitLine(`recycling slot=0 worker=1 reason="has accepted (\d+) connections \(the limit is 20,`)
	if n, _ := strconv.Atoi(m[1]); n < 18 || n > 22 {
		t.Errorf("recycled at %d connections", n)
	}
	s.run.WaitLine(`worker exited slot=0 worker=1 exit="exit status 0"`)
	var seen []string
	for _, m := range regexp.MustCompile(`recycling slot=0 worker=(\d+)`).FindAllStringSubmatch(s.run.Output(), -1) {
		seen = append(seen, m[1])
	}
	if strings.Join(seen, " ") != "1" {
		t.Errorf("recycled: %v", seen)
	}
}

func TestConnectionsOfOtherProgramsCannotBeCounted(t *testing.T) {
	t.Parallel()
	r := testutil.StartMuster(t, "run", "--max-requests", "20", "--", "sleep", "1000")
	r.WaitLine(`--max-requests "20": cannot be kept: only Node programs and workers built on the Go package muster count their connections`)
	r.WaitLine(`hint: .*STOPPING=1`)
	n := runNode(t, 22, "--handoff", "none", "--max-requests", "20", fixture("plain.cjs"))
	n.WaitLine(`cannot be kept: a Node program has no channel to say it on with --handoff none`)
	n.WaitLine(`hint: use --handoff node`)
}
