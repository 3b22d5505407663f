package proc

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/stage"
)

// guarded is one way in which a master and its workers meet a SIGKILL.
type guarded struct {
	Name        string
	Script      string
	Workers     int
	DeathSignal int
	KillGuard   bool // the master's first guard is killed before
}

// Scripts keep descriptor 3 open in every process and write a byte to it once
// all of them run.
const (
	stubborn = `trap "" TERM INT HUP; (trap "" TERM; sleep 60 & sleep 60) & printf . >&3; while :; do sleep 60; done`
	escaped  = `setsid sh -c 'trap "" TERM; sleep 60 & printf . >&3; while :; do sleep 60; done' & wait`
	hidden   = `env -i /usr/bin/setsid /bin/sh -c 'PATH=/bin:/usr/bin; sleep 60 & printf . >&3; while :; do sleep 60; done' & wait`
	orphaned = `(setsid sh -c 'sleep 60 & printf . >&3; while :; do sleep 60; done' &); sleep 60`
)

// When the master is gone, nobody of its workers is left, nor its folder.
func TestGuard(t *testing.T) {
	t.Parallel()
	const kill = int(unix.SIGKILL)
	tests := []guarded{
		{Name: "group", Script: stubborn, Workers: 3},
		{Name: "group with death signal", Script: stubborn, Workers: 3, DeathSignal: kill},
		{Name: "session", Script: escaped, Workers: 3},
		{Name: "session with death signal", Script: escaped, Workers: 3, DeathSignal: kill},
		{Name: "orphan", Script: orphaned, Workers: 3},
		{Name: "no mark", Script: hidden, Workers: 3},
		{Name: "second guard", Script: escaped, Workers: 3, KillGuard: true},
	}
	for _, tt := range tests {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			testGuarded(t, tt)
		})
	}
}

func testGuarded(t *testing.T, tt guarded) {
	r, w := pipe(t)
	dir := filepath.Join(t.TempDir(), "runtime")
	if err := os.MkdirAll(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(tt)
	if err != nil {
		t.Fatal(err)
	}
	cmd := roleCommand(t, "master")
	cmd.Env = append(cmd.Env, "PROC_TEST_GUARDED="+string(text), "PROC_TEST_FOLDER="+dir)
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	guard := readGuard(t, bufio.NewReader(out))
	defer guard.Close()
	if _, err := readFull(r, tt.Workers); err != nil {
		t.Fatalf("workers are not up: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eof(t, r)
	_ = guard.SetReadDeadline(patience())
	if err := await(guard, ended); err != nil {
		t.Fatalf("the guard still lives: %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func readFull(r *os.File, n int) (int, error) {
	for got := 0; got < n; {
		k, err := r.Read(make([]byte, n-got))
		if err != nil {
			return got, err
		}
		got += k
	}
	return n, nil
}

// readGuard reads the guard's pid, printed when all is up, and holds the process.
func readGuard(t *testing.T, out *bufio.Reader) *os.File {
	t.Helper()
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the master says %q", line)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	file, err := newPidfd(fd)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func masterRole() error {
	var tt guarded
	if err := json.Unmarshal([]byte(os.Getenv("PROC_TEST_GUARDED")), &tt); err != nil {
		return err
	}
	s := NewSpawner(quiet)
	g, err := NewGuard(s)
	if err != nil {
		return err
	}
	if err := g.RemoveAtEnd(os.Getenv("PROC_TEST_FOLDER")); err != nil {
		return err
	}
	for range tt.Workers {
		if err := startGuarded(s, g, tt); err != nil {
			return err
		}
	}
	// One that ended is nobody the guard may kill.
	spec := shell("exit 0", -1)
	spec.Guard = g
	if _, err := runScript(s, spec); err != nil {
		return err
	}
	if tt.KillGuard {
		if err := killGuard(g); err != nil {
			return err
		}
	}
	fmt.Println(g.PID())
	select {}
}

func startGuarded(s *Spawner, g *Guard, tt guarded) error {
	spec := shell(tt.Script, -1)
	spec.Files, spec.Guard = []int{stage.FirstFD}, g
	spec.Doc.DeathSignal = tt.DeathSignal
	p, err := s.Start(background, spec)
	if err != nil {
		return err
	}
	go p.Wait()
	return nil
}

func killGuard(g *Guard) error {
	g.mu.Lock()
	old := g.process
	g.mu.Unlock()
	if err := old.Signal(unix.SIGKILL); err != nil {
		return err
	}
	return eventually(background, "another guard", func() bool { return g.PID() != old.PID() })
}

// The guard ignores what a terminal or an operator sends to everybody, and holds
// nothing of the master's.
func TestGuardStands(t *testing.T) {
	t.Parallel()
	g, err := NewGuard(newSpawner(t))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	pid := g.PID()
	if err := g.RemoveAtEnd("relative"); err == nil {
		t.Error("a relative path was accepted")
	}
	if err := eventually(t.Context(), "the guard stands", func() bool { return ignores(pid) && len(holds(pid)) == 0 }); err != nil {
		t.Fatalf("%v; it holds %v", err, holds(pid))
	}
	if s, err := system.stat(pid); err != nil || s.session != pid {
		t.Errorf("the guard is in session %d (%v)", s.session, err)
	}
}

// ignores reports whether a process ignores the signals that end a master.
func ignores(pid int) bool {
	const wanted = 1<<(unix.SIGTERM-1) | 1<<(unix.SIGINT-1) | 1<<(unix.SIGHUP-1) | 1<<(unix.SIGQUIT-1)
	status, _ := os.ReadFile(system.path(pid, "status"))
	_, after, _ := strings.Cut(string(status), "SigIgn:\t")
	mask, err := strconv.ParseUint(after[:min(16, len(after))], 16, 64)
	return err == nil && mask&wanted == wanted
}

// holds are the descriptors of the guard that are neither its own nor its Go
// runtime's, which reads the cgroup's CPU limit and polls.
func holds(pid int) []string {
	dir := system.path(pid, "fd")
	entries, _ := os.ReadDir(dir)
	var held []string
	for _, e := range entries {
		target, _ := os.Readlink(filepath.Join(dir, e.Name()))
		own := target == os.DevNull || e.Name() == strconv.Itoa(guardConn)
		if !own && !strings.HasPrefix(target, "anon_inode:") && !strings.HasPrefix(target, "/sys/fs/cgroup/") {
			held = append(held, e.Name()+" "+target)
		}
	}
	return held
}
