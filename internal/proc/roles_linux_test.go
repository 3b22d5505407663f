package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/stage"
)

// background is the context of roles; the test that runs one kills it at its end.
var background = context.Background()

// runScript starts a spec and gives its exit.
func runScript(s *Spawner, spec Spec) (Exit, error) {
	p, err := s.Start(background, spec)
	if err != nil {
		return Exit{}, err
	}
	defer p.Close()
	return p.Wait(), nil
}

// Exits of 200 short-lived workers, while their orphans are reaped as strangers:
// every code must be the right one.
func TestNoExitIsStolen(t *testing.T) {
	t.Parallel()
	runRole(t, "steal")
}

func stealRole() error {
	if err := BecomeSubreaper(); err != nil {
		return err
	}
	s := NewSpawner(quiet)
	defer s.Close()
	r := NewReaper(quiet)
	defer r.Close()
	if err := startMany(s, 200); err != nil {
		return err
	}
	if err := KillStrangers(background); err != nil {
		return err
	}
	if tree := Tree(os.Getpid()); len(tree) != 1 {
		return fmt.Errorf("left over: %v", tree[1:])
	}
	return nil
}

func startMany(s *Spawner, n int) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			want := i % 120
			exit, err := runScript(s, shell(fmt.Sprintf("(setsid true &) ; (env -i /usr/bin/setsid true &) ; exit %d", want), -1))
			if err == nil && (!exit.Known || exit.Signal != 0 || exit.Code != want) {
				err = fmt.Errorf("worker %d: %v, want %d", i, exit, want)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// A process started by os/exec keeps its exit too.
func TestOwn(t *testing.T) {
	t.Parallel()
	runRole(t, "own")
}

func ownRole() error {
	r := NewReaper(quiet)
	defer r.Close()
	for i := range 50 {
		cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf("exit %d", i))
		release, err := Own(func() (int, error) {
			if err := cmd.Start(); err != nil {
				return 0, err
			}
			return cmd.Process.Pid, nil
		})
		if err != nil {
			return err
		}
		_ = cmd.Wait()
		release()
		if got := cmd.ProcessState.ExitCode(); got != i {
			return fmt.Errorf("exit code %d, want %d", got, i)
		}
	}
	return nil
}

// A Spawner without the main thread has one of its own.
func TestOwnThread(t *testing.T) {
	t.Parallel()
	runRole(t, "own threads")
}

func ownThreadRole() error {
	mainServed.Store(false)
	defer mainServed.Store(true)
	s := NewSpawner(quiet)
	var thread int
	s.thread.do(func() { thread = unix.Gettid() })
	if thread == os.Getpid() {
		return errors.New("the main thread")
	}
	spec := shell("kill -0 $$; sleep 60", -1)
	spec.Doc.DeathSignal = int(unix.SIGKILL)
	p, err := s.Start(background, spec)
	if err != nil {
		return err
	}
	s.Close() // ends the thread, and the worker with it
	if exit := p.Wait(); exit.Signal != unix.SIGKILL {
		return fmt.Errorf("exit is %v", exit)
	}
	return p.Close()
}

// Starts, failed ones too, leave neither descriptors nor goroutines.
func TestNoLeak(t *testing.T) {
	t.Parallel()
	runRole(t, "leak")
}

func leakRole() error {
	round := func() error {
		s := NewSpawner(quiet)
		defer s.Close()
		r := NewReaper(quiet)
		defer r.Close()
		g, err := NewGuard(s)
		if err != nil {
			return err
		}
		defer g.Close()
		for range 5 {
			spec := shell("exit 0", -1)
			spec.Guard = g
			if _, err := runScript(s, spec); err != nil {
				return err
			}
			spec.Doc.Path = "/nonexistent"
			if _, err := runScript(s, spec); err == nil {
				return errors.New("started what does not exist")
			}
		}
		return nil
	}
	if err := round(); err != nil { // opens what Go keeps: the poller, its signal thread
		return err
	}
	fds, goroutines := openFiles(), runtime.NumGoroutine()
	for range 5 {
		if err := round(); err != nil {
			return err
		}
	}
	if got := openFiles(); got != fds {
		return fmt.Errorf("%d descriptors before, %d after", fds, got)
	}
	return eventually(background, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= goroutines })
}

func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// KillStrangers leaves own processes alone.
func TestKillStrangers(t *testing.T) {
	t.Parallel()
	runRole(t, "strangers")
}

func strangersRole() error {
	if err := BecomeSubreaper(); err != nil {
		return err
	}
	s := NewSpawner(quiet)
	defer s.Close()
	kept, err := s.Start(background, shell("sleep 60", -1))
	if err != nil {
		return err
	}
	defer kept.Close()
	// Unmarked and in a session of its own: nobody can tell whose it was.
	if _, err := runScript(s, shell("env -i /usr/bin/setsid /bin/sh -c 'trap \"\" TERM; sleep 60 & sleep 60' & exec 1>&-; while ! grep -q sleep /proc/$!/comm /proc/$!/task/*/children 2>/dev/null && ! [ \"$(cat /proc/$!/comm)\" = sh ]; do :; done", -1)); err != nil {
		return err
	}
	if len(strangers()) == 0 {
		return errors.New("no stranger came to us")
	}
	if err := KillStrangers(background); err != nil {
		return err
	}
	if tree := Tree(os.Getpid()); len(tree) < 2 || tree[1] != kept.PID() {
		return fmt.Errorf("left are %v, want %d", tree[1:], kept.PID())
	}
	if err := kept.SignalGroup(unix.SIGKILL); err != nil {
		return err
	}
	if exit := kept.Wait(); exit.Signal != unix.SIGKILL {
		return fmt.Errorf("exit is %v", exit)
	}
	return nil
}

func TestPID1(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Log("only root may make a PID namespace")
		return
	}
	runRole(t, "pid1", "unshare", "--pid", "--fork", "--mount-proc")
}

func pid1Role() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("this is process %d", os.Getpid())
	}
	s := NewSpawner(quiet)
	defer s.Close()
	r := NewReaper(quiet)
	defer r.Close()
	if err := startMany(s, 20); err != nil {
		return err
	}
	return eventually(background, "every stranger reaped", func() bool { return len(Tree(1)) == 1 })
}

// Adopted from a living parent: only that one reaps.
func TestAdopt(t *testing.T) {
	t.Parallel()
	cmd := roleCommand(t, "parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var h Handle
	if err := json.NewDecoder(out).Decode(&h); err != nil {
		t.Fatal(err)
	}
	h.PIDFD = -1
	p, err := Adopt(h)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Ours() {
		t.Error("somebody else's child is ours")
	}
	wrong := h
	wrong.Born += "0"
	if _, err := Adopt(wrong); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("adopting another's pid: %v", err)
	}
	if err := p.Signal(unix.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	exit := p.Wait()
	if want := (Exit{Known: exit.Known, Signal: unix.SIGUSR2}); exit.Known && exit != want {
		t.Errorf("exit is %v, want %v", exit, want)
	}
	if release() >= 615 && !exit.Known {
		t.Error("this kernel knows the exit")
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if err := p.Signal(unix.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal after the end: %v", err)
	}
}

// release is the kernel's version, 615 for 6.15.
func release() int {
	var name unix.Utsname
	_ = unix.Uname(&name)
	var major, minor int
	_, _ = fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	return 100*major + minor
}

func parentRole() error {
	s := NewSpawner(quiet)
	defer s.Close()
	p, err := s.Start(background, shell("sleep 60", -1))
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(p.Handle()); err != nil {
		return err
	}
	if exit := p.Wait(); exit.Signal != unix.SIGUSR2 {
		return fmt.Errorf("exit is %v", exit)
	}
	return p.Close()
}

// Two upgrades in a row: workers with a parent-death signal live on, the guard
// is the same, the last program tells their exit.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	runRole(t, "upgrade")
}

// upgradeState goes from one program to the next.
type upgradeState struct {
	Round  int
	Worker Handle
	Guard  GuardHandle
}

func upgradeRole() error {
	s := NewSpawner(quiet)
	defer s.Close()
	text, again := os.LookupEnv("PROC_TEST_UPGRADE")
	if !again {
		return firstMaster(s)
	}
	var state upgradeState
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		return err
	}
	p, err := Adopt(state.Worker)
	if err != nil {
		return err
	}
	g, err := ResumeGuard(s, state.Guard)
	if err != nil {
		return err
	}
	g.Add(p)
	if state.Round < 3 {
		return nextMaster(s, p, g, state.Round)
	}
	return lastMaster(p, g, state)
}

func firstMaster(s *Spawner) error {
	g, err := NewGuard(s)
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	spec := shell("trap 'exit 6' TERM; sleep 60 & echo; wait", rawFD(w))
	spec.Doc.DeathSignal, spec.Guard = int(unix.SIGKILL), g
	p, err := s.Start(background, spec)
	if err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); err != nil {
		return err
	}
	if err := s.Exec("/nonexistent", []string{"x"}, nil, []int{p.PIDFD()}); !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("exec of nothing: %v", err)
	}
	if flags, err := unix.FcntlInt(uintptr(p.PIDFD()), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
		return fmt.Errorf("descriptor flags after the failed exec: %d, %v", flags, err)
	}
	return nextMaster(s, p, g, 0)
}

func nextMaster(s *Spawner, p *Process, g *Guard, round int) error {
	state := upgradeState{Round: round + 1, Worker: p.Handle(), Guard: g.Handle()}
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	os.Setenv("PROC_TEST_UPGRADE", string(text))
	files := []int{state.Worker.PIDFD, state.Guard.Conn, state.Guard.Process.PIDFD}
	return s.Exec(self(), []string{"upgraded"}, os.Environ(), files)
}

func lastMaster(p *Process, g *Guard, state upgradeState) error {
	if !p.Ours() {
		return errors.New("the worker is not our child any more")
	}
	if g.PID() != state.Guard.Process.PID {
		return errors.New("the guard is another")
	}
	if err := p.Signal(unix.SIGTERM); err != nil {
		return err
	}
	if exit := p.Wait(); exit.Code != 6 {
		return fmt.Errorf("exit is %v", exit)
	}
	g.Close()
	return p.Close()
}

// While exits are held back for the next program, the processes can still be
// described to it.
func TestHold(t *testing.T) {
	t.Parallel()
	runRole(t, "hold")
}

func holdRole() error {
	s := NewSpawner(quiet)
	defer s.Close()
	p, err := s.Start(background, shell("sleep 60", -1))
	if err != nil {
		return err
	}
	defer p.Close()
	release := Hold()
	exit := make(chan Exit, 1)
	go func() { exit <- p.Wait() }()
	if err := p.Signal(unix.SIGKILL); err != nil {
		return err
	}
	if err := await(p.file, ended); err != nil {
		return err
	}
	for range 1000 {
		runtime.Gosched() // Wait is on its way to the held table
		if h := p.Handle(); h.PID != p.PID() || p.Gone() {
			return fmt.Errorf("described as %+v, gone: %v", h, p.Gone())
		}
	}
	release()
	if got := <-exit; got.Signal != unix.SIGKILL || !p.Gone() {
		return fmt.Errorf("exit is %v, gone: %v", got, p.Gone())
	}
	return nil
}

func TestTitle(t *testing.T) {
	t.Parallel()
	runRole(t, "title")
}

func titleRole() error {
	args := fmt.Sprint(os.Args)
	long := "muster: master a-name-that-needs-more-room-than-the-arguments-had-" + filepath.Base(self()) + self()
	for _, title := range []string{"muster: x", long, "muster: short again"} {
		if err := SetTitle(title); err != nil {
			return err
		}
		line, err := os.ReadFile("/proc/self/cmdline")
		if err != nil {
			return err
		}
		if got := unix.ByteSliceToString(line); got != title {
			return fmt.Errorf("title is %q, want %q", got, title)
		}
		comm, err := os.ReadFile("/proc/self/comm")
		if want := title[:min(15, len(title))] + "\n"; err != nil || string(comm) != want {
			return fmt.Errorf("name is %q, want %q (%v)", comm, want, err)
		}
		if got := fmt.Sprint(os.Args); got != args {
			return fmt.Errorf("arguments became %s", got)
		}
	}
	return nil
}

// Two benchmarks: their difference is the price of the exec stage.
func BenchmarkStart(b *testing.B) {
	s := NewSpawner(quiet)
	defer s.Close()
	spec := Spec{Doc: stage.Doc{Path: "/bin/true", Argv: []string{"true"}, Env: os.Environ()}, Stdout: -1, Stderr: -1}
	for b.Loop() {
		if _, err := runScript(s, spec); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPlainExec(b *testing.B) {
	for b.Loop() {
		cmd := exec.Command("/bin/true")
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
	}
}
