package testutil

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// roleVariable makes the test binary one of the processes under test.
const roleVariable = "TESTUTIL_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "":
		Goroutines(m)
	case "server":
		serverRole()
	case "deserter":
		deserterRole()
	case "idle":
		select {}
	}
}

// serverRole writes to both streams and ends with 3 on SIGTERM.
func serverRole() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	fmt.Println("listening on 127.0.0.1:1234")
	fmt.Fprintln(os.Stderr, "beat 1\nbeat 2")
	<-c
	fmt.Print("last words without an end of line")
	os.Exit(3)
}

// deserterRole leaves a worker behind that has a session of its own.
func deserterRole() {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=idle", "MUSTER_WORKER=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdout = os.Stdout
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	fmt.Println("worker", cmd.Process.Pid)
}

func startRole(t testing.TB, role string) *Running {
	t.Helper()
	return Start(t, Command{Path: os.Args[0], Env: []string{roleVariable + "=" + role}})
}

func TestRunningIsFollowedToItsEnd(t *testing.T) {
	t.Parallel()
	r := startRole(t, "server")
	if m := r.WaitLine(`^listening on (\S+)$`); m[1] != "127.0.0.1:1234" {
		t.Errorf("submatches %q", m)
	}
	want := [][]string{{"beat 1", "1"}, {"beat 2", "2"}}
	if diff := cmp.Diff(want, r.WaitLines(0, 2, `^beat (\d)$`)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	mark := r.Mark()
	if state := r.Stop(); state.ExitCode() != 3 {
		t.Errorf("ended with %v", state)
	}
	r.WaitLines(mark, 1, "^last words without an end of line$")
}

func TestProcessThatRunsAtTheEndIsKilled(t *testing.T) {
	t.Parallel()
	var r *Running
	t.Run("test", func(t *testing.T) {
		r = startRole(t, "idle")
	})
	if !r.Ended() || r.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("state %v", r.cmd.ProcessState)
	}
}

func TestSurvivorIsFoundAndKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	r := startRole(t, "deserter")
	r.LeaveSurvivors()
	pid := r.WaitLine(`^worker (\d+)$`)[1]
	r.WaitExit()
	if diff := cmp.Diff("["+pid+"]", fmt.Sprint(r.Workers())); diff != "" {
		t.Errorf("workers (-want +got):\n%s", diff)
	}
	left := awaitGone(r.mark, time.Now())
	if len(left) != 1 || !strings.HasPrefix(left[0], pid+" ") {
		t.Errorf("survivors %q, want %s", left, pid)
	}
	killAll(r.mark)
	if left := awaitGone(r.mark, Deadline(t)); left != nil {
		t.Errorf("survivors %q", left)
	}
}

// watched is a test whose end is watched by another.
type watched struct {
	testing.TB
	said string
}

func (w *watched) Helper() {}

func (w *watched) Errorf(format string, args ...any) { w.said += fmt.Sprintf(format, args...) }

func (w *watched) Fatalf(format string, args ...any) {
	w.said = "fatal: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (w *watched) Skipf(format string, args ...any) {
	w.said = "skip: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// watch runs f as a test would and returns what it said.
func watch(t testing.TB, f func(t testing.TB)) string {
	w := &watched{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(w)
	}()
	<-done
	return w.said
}

func TestWaitLineFailsWhenTheOutputEnds(t *testing.T) {
	t.Parallel()
	tr := newTranscript(1)
	tr.read(io.NopCloser(strings.NewReader("one\ntwo")))
	said := watch(t, func(t testing.TB) { (&Running{t: t, out: tr}).WaitLine("^three$") })
	if said != "fatal: output ended before 1 lines matched \"^three$\":\none\ntwo" {
		t.Errorf("said %q", said)
	}
}

func TestMissingProgramFailsInCIOnly(t *testing.T) { // not parallel: it changes the environment
	for ci, want := range map[string]string{"true": "fatal: ", "": "skip: "} {
		t.Setenv("CI", ci)
		said := watch(t, func(t testing.TB) { Need(t, "no-such-program") })
		if said != want+"no-such-program is missing: run tools/setup-peers.sh" {
			t.Errorf("CI=%q: said %q", ci, said)
		}
		said = watch(t, func(t testing.TB) { Node(t, 4) })
		if said != want+"node 4 is missing: run tools/setup-node.sh" {
			t.Errorf("CI=%q: said %q", ci, said)
		}
	}
}

func TestNeedTakesAVersionedName(t *testing.T) { // not parallel: it changes the environment
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"tool": 0o644, "tool7.4": 0o755, "toolbox": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	if got := Need(t, "tool"); got != filepath.Join(dir, "tool7.4") {
		t.Errorf("found %s", got)
	}
}

func TestNodeIsOfTheVersionAskedFor(t *testing.T) {
	t.Parallel()
	for _, major := range NodeVersions() {
		t.Run(fmt.Sprint(major), func(t *testing.T) {
			t.Parallel()
			if path := Node(t, major); nodeMajor(path) != major {
				t.Errorf("%s is version %d", path, nodeMajor(path))
			}
		})
	}
}

func TestSetUpFetchesTheNodeVersionsOfTheTests(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(filepath.Join(Root(), "tools", "setup-node.sh"))
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Trim(fmt.Sprint(NodeVersions()), "[]")
	if !strings.Contains(string(script), "for major in "+list+";") {
		t.Errorf("tools/setup-node.sh does not fetch %s", list)
	}
}

func TestLeaksAreSeen(t *testing.T) { // not parallel: it counts what the process has open
	before := openFiles()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(openFiles()) - len(before); runtime.GOOS == "linux" && got != 1 {
		t.Errorf("%d more files are open", got)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, openFiles()); diff != "" {
		t.Errorf("open files (-before +after):\n%s", diff)
	}
	CheckLeaks(t)
}

func TestSeedRepeatsARun(t *testing.T) { // not parallel: it changes the environment
	t.Setenv(seedVariable, "7")
	a, b := Rand(t), Rand(t)
	for range 10 {
		if x, y := a.Uint64(), b.Uint64(); x != y {
			t.Errorf("%d != %d", x, y)
		}
	}
}

func TestMomentsEndWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	Moments(ctx, Rand(t), 0, time.Millisecond, func() bool {
		if n++; n == 3 {
			cancel()
		}
		return true
	})
	Moments(t.Context(), Rand(t), 0, 0, func() bool { n++; return false })
	if n != 4 {
		t.Errorf("acted %d times", n)
	}
	if _, ok := Pick(Rand(t), []int{}); ok {
		t.Error("picked from nothing")
	}
}

func TestDeadlineIsBeforeThatOfTheBinary(t *testing.T) {
	t.Parallel()
	end, ok := t.Deadline()
	if got := Deadline(t); ok && got.After(end) || time.Until(got) > Patience {
		t.Errorf("deadline %v, of the binary %v", got, end)
	}
	if d, _ := Context(t).Deadline(); time.Until(d) > Patience {
		t.Errorf("deadline of the context %v", d)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	if len(TempDir(t)) > 40 {
		t.Errorf("%s is long", TempDir(t))
	}
	if Port(t) <= 0 {
		t.Error("no port")
	}
	f, err := os.Open(filepath.Join(Root(), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if line, err := bufio.NewReader(f).ReadString('\n'); err != nil || line != "module github.com/musterd/muster\n" {
		t.Errorf("first line %q, %v", line, err)
	}
}
