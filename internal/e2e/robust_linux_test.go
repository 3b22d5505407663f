package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
	"golang.org/x/sys/unix"
)

// tetherVariable names, to every process of a run, the tether that it holds.
const tetherVariable = "E2E_TETHER"

// tether is a FIFO that every process of a run has open for writing, whatever it inherits and whoever its parent is. Lines on it are events;
// its end of file means that none of them is left.
type tether struct {
	t    testing.TB
	path string
	own  *os.File // keeps the end of file away until letGo

	mu      sync.Mutex
	lines   []string
	ended   bool
	changed chan struct{} // closed and replaced at each event
}

func newTether(t testing.TB) *tether {
	t.Helper()
	path := filepath.Join(testutil.TempDir(t), "tether")
	if err := unix.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil { // whatever the umask; a worker may be another user
		t.Fatal(err)
	}
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	th := &tether{t: t, path: path, own: own, changed: make(chan struct{})}
	done := make(chan struct{})
	go func() { // ends at EOF, or when r is closed
		defer close(done)
		th.read(r)
	}()
	t.Cleanup(func() {
		_, _ = own.Close(), r.Close()
		<-done
	})
	return th
}

func (th *tether) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		th.mu.Lock()
		if line != "" {
			th.lines = append(th.lines, strings.TrimSuffix(line, "\n"))
		}
		th.ended = err != nil
		close(th.changed)
		th.changed = make(chan struct{})
		th.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// until waits for done to be satisfied with the events so far.
func (th *tether) until(what string, done func(lines []string, ended bool) bool) {
	th.t.Helper()
	timeout := time.NewTimer(time.Until(testutil.Deadline(th.t)))
	defer timeout.Stop()
	for {
		th.mu.Lock()
		lines, ended, changed := th.lines, th.ended, th.changed
		th.mu.Unlock()
		if done(lines, ended) {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			th.t.Fatalf("no %s in time; events:\n%s", what, strings.Join(lines, "\n"))
		}
	}
}

// wait returns the submatches of the first n events that pattern matches.
func (th *tether) wait(n int, pattern string) [][]string {
	th.t.Helper()
	var found [][]string
	th.until(fmt.Sprintf("%d events %q", n, pattern), func(lines []string, _ bool) bool {
		found = matching(lines, pattern)
		return len(found) >= n
	})
	return found[:n]
}

// all returns the submatches of the events so far that pattern matches.
func (th *tether) all(pattern string) [][]string {
	th.mu.Lock()
	defer th.mu.Unlock()
	return matching(th.lines, pattern)
}

func matching(lines []string, pattern string) [][]string {
	re := regexp.MustCompile(pattern)
	var found [][]string
	for _, line := range lines {
		if m := re.FindStringSubmatch(line); m != nil {
			found = append(found, m)
		}
	}
	return found
}

// nobody waits until no process holds the tether.
func (th *tether) nobody() {
	th.t.Helper()
	_ = th.own.Close()
	th.until("end of every process", func(_ []string, ended bool) bool { return ended })
}

// robustRun is muster with a home and a tether of its own.
type robustRun struct {
	*testutil.Running
	*tether
	home string
}

// robustCommand is what runs muster with workers that play role.
func robustCommand(t testing.TB, th *tether, role string, args ...string) testutil.Command {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"run", "--env", roleVariable + "=" + role}, args...)
	return testutil.Command{
		Args: append(args, "--", exe),
		Env:  []string{"MUSTER_HOME=" + testutil.TempDir(t), tetherVariable + "=" + th.path, "GORACE=atexit_sleep_ms=0"},
	}
}

// startRobust runs muster with workers that play role.
func startRobust(t testing.TB, role string, args ...string) *robustRun {
	t.Helper()
	th := newTether(t)
	return startCommand(t, th, robustCommand(t, th, role, args...))
}

func startCommand(t testing.TB, th *tether, c testutil.Command) *robustRun {
	t.Helper()
	home, _ := strings.CutPrefix(c.Env[0], "MUSTER_HOME=")
	return &robustRun{Running: testutil.Start(t, c), tether: th, home: home}
}

// requireNothingLeft fails the test if a process of the run is left, or a file: after a clean end there is none at all, after another one none
// that anybody would be misled by, as soon as the guard is done.
func (r *robustRun) requireNothingLeft(t testing.TB, clean bool) {
	t.Helper()
	r.nobody()
	if clean {
		if left := r.files(t, ""); len(left) > 0 {
			t.Errorf("left in the runtime folder: %v", left)
		}
		return
	}
	poll(t, "end of the private folder", func() bool { return len(r.files(t, ".")) == 0 })
}

// files are the names in the runtime folder that begin like that.
func (r *robustRun) files(t testing.TB, prefix string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(r.home, "run"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names
}

// requireExit fails the test if the process did not end with that code.
func (r *robustRun) requireExit(t testing.TB, code int) {
	t.Helper()
	if got := r.WaitExit().ExitCode(); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
}

// poll asks until cond holds. Only for what there is no event for.
func poll(t testing.TB, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.NewTimer(time.Until(testutil.Deadline(t)))
	defer timeout.Stop()
	for !cond() {
		select {
		case <-ticker.C:
		case <-timeout.C:
			t.Fatalf("no %s in time", what)
		}
	}
}
