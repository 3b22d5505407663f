package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/stage"
)

func TestExit(t *testing.T) {
	t.Parallel()
	s := newSpawner(t)
	tests := []struct {
		name, script, want string
	}{
		{"success", "exit 0", "exit status 0"},
		{"code", "exit 3", "exit status 3"},
		{"high code", "exit 255", "exit status 255"},
		{"KILL", "kill -KILL $$", "killed by SIGKILL"},
		{"TERM", "kill -TERM $$", "killed by SIGTERM"},
		{"real-time signal", "kill -40 $$", "killed by signal 40"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, s, shell(tt.script, -1))
			exit := p.Wait()
			if got := exit.String(); got != tt.want {
				t.Errorf("exit is %q, want %q", got, tt.want)
			}
			if got := exit.Success(); got != (tt.name == "success") {
				t.Errorf("success is %v", got)
			}
			if exit.MaxRSS < 1<<16 {
				t.Errorf("peak memory is %d bytes", exit.MaxRSS)
			}
			if err := p.Signal(unix.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("signal after the end: %v", err)
			}
			if err := p.SignalGroup(unix.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("group signal after the end: %v", err)
			}
			p.Close()
			if err := p.Signal(unix.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("signal after close: %v", err)
			}
		})
	}
}

// Whether a core is written depends on the machine: os/exec says what to expect.
func TestExitCore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const script = "ulimit -S -c unlimited; cd " + `"$0"` + "; kill -SEGV $$"
	reference := exec.Command("/bin/sh", "-c", script, dir)
	err := reference.Run()
	want := reference.ProcessState.Sys().(syscall.WaitStatus)
	if !want.Signaled() {
		t.Fatal(err)
	}
	spec := shell(script, -1)
	spec.Doc.Argv = append(spec.Doc.Argv, dir)
	exit := start(t, newSpawner(t), spec).Wait()
	if exit.Signal != unix.SIGSEGV || exit.Core != want.CoreDump() {
		t.Errorf("exit is %v, core %v; want SIGSEGV, core %v", exit, exit.Core, want.CoreDump())
	}
}

func TestExitString(t *testing.T) {
	t.Parallel()
	got := []string{
		Exit{}.String(),
		Exit{Known: true, Code: 3}.String(),
		Exit{Known: true, Signal: unix.SIGSEGV, Core: true}.String(),
	}
	want := []string{"unknown", "exit status 3", "killed by SIGSEGV (core dumped)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSignal(t *testing.T) {
	t.Parallel()
	r, w := pipe(t)
	p := start(t, newSpawner(t), shell(`trap 'exit 7' USR1; echo ready; while :; do sleep 60 & wait; done`, rawFD(w)))
	w.Close()
	if _, err := io.ReadFull(r, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if got := p.Wait(); got.Code != 7 {
		t.Errorf("exit is %v", got)
	}
	eof(t, r) // the shell's sleep was in its group
}

func TestLeadsItsSession(t *testing.T) {
	t.Parallel()
	p := start(t, newSpawner(t), shell("sleep 60", -1))
	s, err := system.stat(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	group, err := unix.Getpgid(p.PID())
	if err != nil || s.session != p.PID() || group != p.PID() {
		t.Errorf("process %d is in session %d, group %d (%v)", p.PID(), s.session, group, err)
	}
}

// What a worker leaves behind goes with it: its group, its session, and what
// left both.
func TestTreeEndsWithWorker(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, script string }{
		{"group", "sleep 60 & echo; read x <&0; exit 4"},
		{"session", "setsid sleep 60 & echo; exit 4"},
		{"daemon", "(setsid sh -c 'trap \"\" TERM HUP; sleep 60 & sleep 60' &) ; echo; exit 4"},
	}
	s := newSpawner(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, w := pipe(t)
			p := start(t, s, shell(tt.script, rawFD(w)))
			w.Close()
			if got := p.Wait(); got.Code != 4 {
				t.Errorf("exit is %v", got)
			}
			eof(t, r)
		})
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	a, b := listener(t), listener(t)
	spec := shell(`echo $LISTEN_FDS $LISTEN_FDNAMES $((LISTEN_PID - $$)) ${LISTEN_PIDFDID-none} $A ${#MUSTER_WORKER} ${GOMAXPROCS-none}`, -1)
	spec.Doc.Env = append(spec.Doc.Env, "A=b c", "LISTEN_PID=1", "LISTEN_PIDFDID=2", TokenVariable+"=x")
	spec.Files = []int{rawListener(t, a), rawListener(t, b)}
	spec.Doc.ListenFDs, spec.Doc.ListenNames = 2, []string{"web", "admin"}
	got, _ := output(t, newSpawner(t), spec)
	if want := "2 web:admin 0 none b c 26 none"; got != want {
		t.Errorf("environment is %q, want %q", got, want)
	}
}

func TestNoListenersNoVariables(t *testing.T) {
	t.Parallel()
	spec := shell(`echo ${LISTEN_FDS-none} ${LISTEN_PID-none}`, -1)
	spec.Doc.Env = append(spec.Doc.Env, "LISTEN_FDS=3")
	if got, _ := output(t, newSpawner(t), spec); got != "none none" {
		t.Errorf("environment is %q", got)
	}
}

func listener(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

func rawListener(t *testing.T, l *net.TCPListener) (fd int) {
	t.Helper()
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(n uintptr) { fd = int(n) }); err != nil {
		t.Fatal(err)
	}
	return fd
}

// The files arrive in order from 3 on, and nothing else does: not even what this
// process holds open without FD_CLOEXEC.
func TestDescriptors(t *testing.T) {
	t.Parallel()
	var stray [2]int
	if err := unix.Pipe(stray[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(stray[0])
	defer unix.Close(stray[1])
	dir := t.TempDir()
	var names []string
	spec := shell(`ls -l /proc/$$/fd; :`, -1)
	for i := range 12 {
		f, err := os.Create(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		spec.Files = append(spec.Files, rawFD(f))
		names = append(names, fmt.Sprintf("%d -> %s", stage.FirstFD+i, f.Name()))
	}
	spec.Doc.ListenFDs = 1
	got, _ := output(t, newSpawner(t), spec)
	var inherited []string
	for line := range strings.Lines(got) {
		fields := strings.Fields(line)
		fields = fields[max(0, len(fields)-3):] // "FD -> TARGET"
		if n, err := strconv.Atoi(fields[0]); err == nil && n >= stage.FirstFD {
			inherited = append(inherited, strings.Join(fields, " "))
		}
	}
	if diff := cmp.Diff(sorted(names), sorted(inherited)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(got, "0 -> /dev/null") {
		t.Errorf("stdin is not /dev/null:\n%s", got)
	}
}

// O_NONBLOCK belongs to the socket everybody shares.
func TestNonblockStays(t *testing.T) {
	t.Parallel()
	for _, want := range []bool{true, false} {
		t.Run(fmt.Sprint(want), func(t *testing.T) {
			t.Parallel()
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if err := unix.SetNonblock(fd, want); err != nil {
				t.Fatal(err)
			}
			spec := shell("cat /proc/$$/fdinfo/3", -1)
			spec.Files, spec.Doc.ListenFDs = []int{fd}, 1
			got, _ := output(t, newSpawner(t), spec)
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			if err != nil || (flags&unix.O_NONBLOCK != 0) != want {
				t.Errorf("flags after the start: %#o (%v)", flags, err)
			}
			if inside := strings.Contains(got, "flags:\t0"+strconv.FormatInt(int64(flags), 8)); !inside {
				t.Errorf("want flags %#o in\n%s", flags, got)
			}
		})
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	missing := filepath.Join(dir, "missing")
	tests := []struct {
		name string
		doc  stage.Doc
		want StartError
	}{
		{"missing program", stage.Doc{Path: missing}, StartError{"exec", missing, unix.ENOENT}},
		{"not in PATH", stage.Doc{Path: "missing", Env: []string{"PATH=" + dir}}, StartError{"find program", "missing", unix.ENOENT}},
		{"no program", stage.Doc{}, StartError{Op: "find program"}},
		{"not executable", stage.Doc{Path: file("plain", "x", 0o644)}, StartError{"exec", filepath.Join(dir, "plain"), unix.EACCES}},
		{"not executable in PATH", stage.Doc{Path: "plain", Env: []string{"PATH=" + dir}}, StartError{"find program", "plain", unix.EACCES}},
		{"a folder", stage.Doc{Path: dir}, StartError{"exec", dir, unix.EACCES}},
		{"no format", stage.Doc{Path: file("noise", "noise", 0o755)}, StartError{"exec", filepath.Join(dir, "noise"), unix.ENOEXEC}},
		{"missing interpreter", stage.Doc{Path: file("script", "#! "+missing+" -x\n", 0o755)}, StartError{"exec interpreter", missing, unix.ENOENT}},
		{"missing folder", stage.Doc{Path: "/bin/true", Dir: missing}, StartError{"chdir", missing, unix.ENOENT}},
		{"missing stdin", stage.Doc{Path: "/bin/true", Stdin: missing}, StartError{"open stdin", missing, unix.ENOENT}},
		{"wrong death signal", stage.Doc{Path: "/bin/true", DeathSignal: 99}, StartError{"set parent-death signal", "99", unix.EINVAL}},
		{"strict limit", stage.Doc{Path: "/bin/true", Strict: true, CPUs: []int{-1}}, StartError{"set CPU affinity", "[-1]", unix.EINVAL}},
	}
	s := newSpawner(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.doc.Argv = []string{"program"}
			if tt.name == "no program" {
				tt.doc.Argv = nil
			}
			_, err := s.Start(t.Context(), Spec{Doc: tt.doc, Stdout: -1, Stderr: -1})
			got, ok := errors.AsType[*StartError](err)
			if !ok {
				t.Fatalf("error is %v", err)
			}
			if got.Op != tt.want.Op || got.Path != tt.want.Path || tt.want.Err != nil && !errors.Is(err, tt.want.Err) {
				t.Errorf("error is %#v (%v), want %#v", got, err, tt.want)
			}
		})
	}
}

func TestStartWithoutMuster(t *testing.T) {
	t.Parallel()
	spec := shell("exit 0", -1)
	spec.Exe = "/nonexistent/muster"
	_, err := newSpawner(t).Start(t.Context(), spec)
	if want := "fork /nonexistent/muster: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

// A stage that ends before it has announced the program is no running program.
func TestStageEndsEarly(t *testing.T) {
	t.Parallel()
	spec := shell("exit 0", -1)
	spec.Exe = "/bin/false"
	_, err := newSpawner(t).Start(t.Context(), spec)
	if want := "run exec stage of /bin/sh: it ended early: exit status 1"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

// Opening a FIFO holds the stage until somebody writes: the context frees it.
func TestStartIsCancelled(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	spec := shell("exit 0", -1)
	spec.Doc.Stdin = fifo
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("changed my mind")
	go cancel(reason)
	_, err := newSpawner(t).Start(ctx, spec)
	if !errors.Is(err, reason) {
		t.Errorf("error is %v", err)
	}
}

// A document does not have to fit into a pipe.
func TestLargeDocument(t *testing.T) {
	t.Parallel()
	spec := shell("echo ${#A19}", -1)
	for i := range 20 {
		spec.Doc.Env = append(spec.Doc.Env, fmt.Sprintf("A%d=%s", i, strings.Repeat("x", 50_000)))
	}
	if got, _ := output(t, newSpawner(t), spec); got != "50000" {
		t.Errorf("got %s", got)
	}
}

func TestProgramFromPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "prog"), []byte("#!/bin/sh\necho found $0 $1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, "/nonexistent::" + dir, "."} {
		spec := Spec{Doc: stage.Doc{Argv: []string{"prog", "x"}, Env: []string{"PATH=" + path}, Dir: dir}, Stderr: 2}
		got, _ := output(t, newSpawner(t), spec)
		if !strings.HasPrefix(got, "found ") || !strings.HasSuffix(got, "/prog x") {
			t.Errorf("PATH=%s: %q", path, got)
		}
	}
}

func TestAwaitEnd(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "1h")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	if AwaitEnd(pid) {
		t.Error("it has not ended")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if !AwaitEnd(pid) {
		t.Error("it has ended, and was not reaped")
	}
	_ = cmd.Wait()
	if !AwaitEnd(pid) {
		t.Error("it was reaped")
	}
}
