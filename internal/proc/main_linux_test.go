package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/internal/stage"
)

// roleVariable makes the test binary another program.
const roleVariable = "PROC_TEST_ROLE"

// roles are what a re-executed test binary can be. A role that returns an error
// prints it and exits with 1.
var roles map[string]func() error

func TestMain(m *testing.M) {
	stage.Main()
	GuardMain()
	roles = map[string]func() error{
		"steal":       stealRole,
		"leak":        leakRole,
		"master":      masterRole,
		"guardless":   guardlessRole,
		"upgrade":     upgradeRole,
		"strangers":   strangersRole,
		"pid1":        pid1Role,
		"parent":      parentRole,
		"title":       titleRole,
		"own":         ownRole,
		"own threads": ownThreadRole,
		"limit":       limitRole,
		"hold":        holdRole,
	}
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(Main(func() int { return play(role) }))
	}
	os.Exit(Main(m.Run))
}

func play(role string) int {
	if err := roles[role](); err != nil {
		fmt.Println(role+":", err)
		return 1
	}
	return 0
}

// quiet is a log nobody reads.
var quiet = slog.New(slog.DiscardHandler)

// self is the path of the test binary.
func self() string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return path
}

// roleCommand is the test binary in a role, in a process group of its own that
// is killed with the test.
func roleCommand(t *testing.T, role string, wrapper ...string) *exec.Cmd {
	t.Helper()
	argv := append(wrapper, self())
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// runRole runs a role to its end, which must be a good one.
func runRole(t *testing.T, role string, wrapper ...string) string {
	t.Helper()
	out, err := roleCommand(t, role, wrapper...).CombinedOutput()
	if err != nil {
		t.Fatalf("role %s: %v\n%s", role, err, out)
	}
	return string(out)
}

func newSpawner(t *testing.T) *Spawner {
	t.Helper()
	s := NewSpawner(quiet)
	t.Cleanup(s.Close)
	return s
}

// shell is a spec that runs a script, with stdout on the given descriptor.
func shell(script string, stdout int) Spec {
	return Spec{
		Doc: stage.Doc{
			Path: "/bin/sh",
			Argv: []string{"sh", "-c", script},
			Env:  []string{"PATH=" + os.Getenv("PATH")},
		},
		Stdout: stdout,
		Stderr: 2,
	}
}

// start starts a process that dies with the test at the latest.
func start(t *testing.T, s *Spawner, spec Spec) *Process {
	t.Helper()
	p, err := s.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !errors.Is(p.SignalGroup(syscall.SIGKILL), os.ErrProcessDone) {
			p.Wait()
		}
		p.Close()
	})
	return p
}

// pipe gives a pipe whose reads end with the test's patience.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.SetReadDeadline(patience())
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func patience() time.Time { return time.Now().Add(30 * time.Second) }

// rawFD is the descriptor of a pipe end that stays with its file.
func rawFD(f *os.File) (fd int) {
	_ = control(f, func(n int) error { fd = n; return nil })
	return fd
}

// output runs a spec to its end and gives what it wrote.
func output(t *testing.T, s *Spawner, spec Spec) (string, Exit) {
	t.Helper()
	r, w := pipe(t)
	spec.Stdout = rawFD(w)
	p := start(t, s, spec)
	w.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text)), p.Wait()
}

// eof waits until nobody holds the pipe's other end.
func eof(t *testing.T, r *os.File) {
	t.Helper()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatalf("somebody still lives: %v", err)
	}
}

// eventually polls a condition for which there is no event.
func eventually(ctx context.Context, what string, condition func() bool) error {
	ctx, cancel := context.WithDeadline(ctx, patience())
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("still not so: %s", what)
		}
	}
	return nil
}
