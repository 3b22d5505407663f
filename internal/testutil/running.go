package testutil

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// runVariable marks, in its environment, every process that a test starts and all that come from it.
const runVariable = "MUSTER_TEST_RUN"

// homeVariable names the folder of what runs. Each process of a test has its own, so that names need not differ between tests.
const homeVariable = "MUSTER_HOME"

// workerGrace is how long workers may outlive a muster that was killed.
const workerGrace = 10 * time.Second

// Command says what Start runs.
type Command struct {
	Path string   // default: the muster binary, see Muster
	Args []string // without the program's name
	Env  []string // added to the environment of the test
	Dir  string   // default: that of the test

	Stdio *os.File             // stdin, stdout and stderr, instead of nothing and pipes that are read; borrowed
	Attr  *syscall.SysProcAttr // default: a process group of its own. Whoever sets it sees to that, or to a session
}

// Running is a process that a test started. It leads a process group of its own, which is killed with the test.
type Running struct {
	t         testing.TB
	cmd       *exec.Cmd
	mark      string // of its environment
	out       *transcript
	exited    chan struct{} // closed when the process has been waited for
	survivors bool          // the test wants processes to outlive it
}

// StartMuster starts the muster binary with args and the environment of the test.
func StartMuster(t testing.TB, args ...string) *Running {
	t.Helper()
	return Start(t, Command{Args: args})
}

var runs atomic.Int64

// Start starts a process. When the test ends the process is killed if it still runs, and every process that came from it must be gone
// within a few seconds: what is left by then fails the test and is killed. See LeaveSurvivors.
func Start(t testing.TB, c Command) *Running {
	t.Helper()
	if c.Path == "" {
		c.Path = Muster(t)
	}
	r := &Running{
		t:      t,
		cmd:    exec.Command(c.Path, c.Args...),
		mark:   fmt.Sprintf("%s=%d.%d.", runVariable, os.Getpid(), runs.Add(1)),
		out:    newTranscript(0), // nothing to come
		exited: make(chan struct{}),
	}
	r.cmd.Dir = c.Dir
	r.cmd.Env = append(append(os.Environ(), c.Env...), r.mark)
	if _, set := r.Env(homeVariable); !set {
		r.cmd.Env = append(r.cmd.Env, homeVariable+"="+TempDir(t))
	}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.Attr != nil {
		r.cmd.SysProcAttr = c.Attr
	}
	if err := r.start(c.Stdio); err != nil {
		t.Fatalf("start %s: %v", c.Path, err)
	}
	t.Cleanup(r.cleanup)
	return r
}

func (r *Running) start(stdio *os.File) error {
	if stdio == nil {
		return r.startPiped()
	}
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = stdio, stdio, stdio
	if err := r.cmd.Start(); err != nil {
		return err
	}
	go r.wait()
	return nil
}

// startPiped runs the command with a pipe at stdout and one at stderr, and a goroutine for each that ends at EOF.
func (r *Running) startPiped() error {
	outR, outW, err := os.Pipe()
	if err != nil {
		return err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return errors.Join(err, outR.Close(), outW.Close())
	}
	r.cmd.Stdout, r.cmd.Stderr = outW, errW
	err = errors.Join(r.cmd.Start(), outW.Close(), errW.Close())
	if err != nil {
		return errors.Join(err, outR.Close(), errR.Close())
	}
	r.out = newTranscript(2)
	go r.out.read(outR)
	go r.out.read(errR)
	go r.wait()
	return nil
}

// wait ends when the process does.
func (r *Running) wait() {
	_ = r.cmd.Wait() // the state tells more than the error
	close(r.exited)
}

// Env is a variable of the process's environment.
func (r *Running) Env(name string) (value string, set bool) {
	for _, entry := range r.cmd.Env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value, set = v, true
		}
	}
	return value, set
}

// LeaveSurvivors says that processes may outlive this one, as masters do a daemon. They are still killed with the test.
func (r *Running) LeaveSurvivors() { r.survivors = true }

// Pid is the process id. Once the process has ended the number may become another's; Signal minds that.
func (r *Running) Pid() int { return r.cmd.Process.Pid }

// Output is everything read so far from stdout and stderr.
func (r *Running) Output() string { return r.out.String() }

// Mark is a position in the output: that after the last line read.
func (r *Running) Mark() int {
	lines, _, _ := r.out.since(0)
	return len(lines)
}

// WaitLine waits for a line of output that the regular expression matches and returns its submatches. Lines that were read before the
// call count.
func (r *Running) WaitLine(pattern string) []string {
	r.t.Helper()
	return r.WaitLines(0, 1, pattern)[0]
}

// WaitLines waits for n lines after mark that the regular expression matches and returns their submatches.
func (r *Running) WaitLines(mark, n int, pattern string) [][]string {
	r.t.Helper()
	found, ok := r.lines(mark, n, pattern)
	if !ok {
		r.t.Fatalf("output ended before %d lines matched %q:\n%s", n, pattern, r.Output())
	}
	return found
}

// SeesLine waits for a line after mark that the regular expression matches. It is false if the output ended before, as when the process was
// killed.
func (r *Running) SeesLine(mark int, pattern string) bool {
	r.t.Helper()
	_, ok := r.lines(mark, 1, pattern)
	return ok
}

// lines waits for n lines after mark, or for the end of the output.
func (r *Running) lines(mark, n int, pattern string) (found [][]string, ok bool) {
	r.t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.NewTimer(time.Until(Deadline(r.t)))
	defer timeout.Stop()
	for {
		lines, more, eof := r.out.since(mark)
		if found := matches(lines, re); len(found) >= n {
			return found[:n], true
		}
		if eof {
			return nil, false
		}
		select {
		case <-more:
		case <-timeout.C:
			r.dump()
			r.t.Fatalf("no %d lines of output matched %q in time:\n%s", n, pattern, r.Output())
		}
	}
}

// dump makes a Go program write the stacks of its goroutines, which ends it.
func (r *Running) dump() {
	if r.cmd.Process.Signal(syscall.SIGABRT) == nil {
		r.within(grace)
	}
}

// Signal sends sig to the process alone. A process that has ended fails the test.
func (r *Running) Signal(sig os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.t.Fatalf("signal %v: %v\n%s", sig, err, r.Output())
	}
}

// WaitExit waits until the process has ended and so has everything that came from it (unless survivors are allowed), and its output is
// complete.
func (r *Running) WaitExit() *os.ProcessState {
	r.t.Helper()
	if !r.within(time.Until(Deadline(r.t))) {
		r.dump()
		r.t.Fatalf("process %d did not end in time:\n%s", r.Pid(), r.Output())
	}
	if !r.survivors {
		r.requireNoSurvivors()
		r.drain()
	}
	return r.cmd.ProcessState
}

// Stop sends SIGTERM and waits as WaitExit does.
func (r *Running) Stop() *os.ProcessState {
	r.t.Helper()
	r.Signal(syscall.SIGTERM)
	return r.WaitExit()
}

// within tells whether the process ends within d.
func (r *Running) within(d time.Duration) bool {
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	select {
	case <-r.exited:
		return true
	case <-timeout.C:
		return r.Ended()
	}
}

// Ended tells whether the process has ended.
func (r *Running) Ended() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

// drain waits for EOF of the output.
func (r *Running) drain() {
	timeout := time.NewTimer(grace)
	defer timeout.Stop()
	for {
		_, more, eof := r.out.since(0)
		if eof {
			return
		}
		select {
		case <-more:
		case <-timeout.C:
			return
		}
	}
}

func (r *Running) cleanup() {
	if !r.Ended() {
		_ = syscall.Kill(-r.Pid(), syscall.SIGKILL)
		<-r.exited
	}
	if r.survivors {
		killAll(r.mark)
	} else {
		r.requireNoSurvivors()
	}
	r.drain()
	if r.t.Failed() {
		r.t.Logf("output of %s:\n%s", strings.Join(r.cmd.Args, " "), r.Output())
	}
}

// requireNoSurvivors gives what came from the process a moment to end, then fails the test and kills it.
func (r *Running) requireNoSurvivors() {
	r.t.Helper()
	left := awaitGone(r.mark, time.Now().Add(workerGrace))
	if len(left) == 0 {
		return
	}
	r.t.Errorf("processes outlived %s: %s", strings.Join(r.cmd.Args, " "), strings.Join(left, "; "))
	killAll(r.mark)
}
