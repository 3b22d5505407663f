package proc

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/stage"
)

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// The program starts with every signal at its default and none blocked, whatever
// the master ignores. /bin/cat, because a Go program handles signals.
func TestSignalDispositions(t *testing.T) {
	// Not parallel: what a process ignores is the whole process's.
	signal.Ignore(unix.SIGPIPE, unix.SIGHUP, unix.SIGUSR1)
	defer signal.Reset(unix.SIGPIPE, unix.SIGHUP, unix.SIGUSR1)
	spec := Spec{Doc: stage.Doc{Argv: []string{"/bin/cat", "/proc/self/status"}}, Stderr: 2}
	got, _ := output(t, newSpawner(t), spec)
	for _, field := range []string{"SigBlk", "SigIgn", "SigCgt"} {
		if want := field + ":\t0000000000000000\n"; !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
}

// Go raises the soft limit on open files at start-up; programs get the one the
// master was started with.
func TestOpenFilesLimit(t *testing.T) {
	t.Parallel()
	if got := runRole(t, "limit", "/bin/sh", "-c", `ulimit -S -n 777; exec "$0"`); got != "777\n" {
		t.Errorf("soft limit is %q, want 777", got)
	}
}

func limitRole() error {
	s := NewSpawner(quiet)
	defer s.Close()
	var raised unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &raised); err != nil || raised.Cur == 777 {
		return fmt.Errorf("the Go runtime did not raise the limit: %v, %v", raised, err)
	}
	_, err := runScript(s, shell("ulimit -S -n", 1))
	return err
}

func TestLimits(t *testing.T) {
	t.Parallel()
	cpus, nice, umask := allowedCPU(t), 7, 0o27
	dir := t.TempDir()
	spec := shell("pwd; umask; ulimit -S -n; ulimit -H -n; nice; ulimit -v; grep -E 'Cpus_allowed_list|NoNewPrivs' /proc/$$/status", -1)
	spec.Doc.Dir = dir
	spec.Doc.Umask, spec.Doc.Nice, spec.Doc.CPUs, spec.Doc.NoNewPrivs = &umask, &nice, []int{cpus}, true
	spec.Doc.Rlimits = []stage.Rlimit{
		{Resource: unix.RLIMIT_NOFILE, Cur: 100, Max: 200},
		{Resource: unix.RLIMIT_AS, Cur: 64 << 20, Max: 64 << 20}, // less than the stage itself has
	}
	got, _ := output(t, newSpawner(t), spec)
	want := fmt.Sprintf("%s\n0027\n100\n200\n7\n65536\nNoNewPrivs:\t1\nCpus_allowed_list:\t%d", dir, cpus)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func allowedCPU(t *testing.T) int {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	for cpu := range 1024 {
		if set.IsSet(cpu) {
			return cpu
		}
	}
	t.Fatal("no CPU")
	return -1
}

// A wish the system refuses is a warning, and the program runs.
func TestWarnings(t *testing.T) {
	t.Parallel()
	spec := shell("exit 5", -1)
	spec.Doc.CPUs = []int{1 << 15}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	const tooMany = 1 << 40 // more than fs.nr_open, which binds root too
	spec.Doc.Rlimits = []stage.Rlimit{{Resource: unix.RLIMIT_NOFILE, Cur: 100, Max: tooMany}}
	p := start(t, newSpawner(t), spec)
	var got []string
	for _, w := range p.Warnings {
		got = append(got, w.String())
	}
	want := []string{
		"set CPU affinity [32768]: invalid argument",
		fmt.Sprintf("set limit nofile to %d: operation not permitted: it is %d, as for muster itself", tooMany, now.Max),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if exit := p.Wait(); exit.Code != 5 {
		t.Errorf("exit is %v", exit)
	}
}

func TestUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Log("only root may change the user: the refusal is tested instead")
		spec := shell("exit 0", -1)
		spec.Doc.User = &stage.Credential{UID: 0, GID: 0}
		if _, err := newSpawner(t).Start(t.Context(), spec); err == nil {
			t.Error("an ordinary user became root")
		}
		return
	}
	spec := shell("id -u; id -g; id -G; cat /proc/self/oom_score_adj", -1)
	adj := 500
	spec.Doc.User = &stage.Credential{UID: 12345, GID: 23456, Groups: []int{34567}}
	spec.Doc.OOMScoreAdj = &adj
	spec.Doc.DeathSignal = int(unix.SIGKILL)
	got, _ := output(t, newSpawner(t), spec)
	if want := "12345\n23456\n23456 34567\n500"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The death signal must survive the change of credentials, which clears it.
func TestDeathSignal(t *testing.T) {
	t.Parallel()
	r, w := pipe(t)
	cmd := roleCommand(t, "guardless")
	cmd.ExtraFiles = []*os.File{w}
	in, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := in.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eof(t, r)
}

// guardlessRole starts a worker with nothing but a death signal.
func guardlessRole() error {
	s := NewSpawner(quiet)
	spec := Spec{
		Doc:    stage.Doc{Argv: []string{"sleep", "60"}, Env: os.Environ(), DeathSignal: int(unix.SIGKILL)},
		Files:  []int{stage.FirstFD},
		Stdout: -1, Stderr: -1,
	}
	if os.Getuid() == 0 {
		spec.Doc.User = &stage.Credential{UID: 12345, GID: 12345}
	}
	p, err := s.Start(background, spec)
	if err != nil {
		return err
	}
	fmt.Print("+")
	p.Wait()
	return nil
}

// A limit that contradicts itself is an error that names it, and nothing runs.
func TestImpossibleLimit(t *testing.T) {
	t.Parallel()
	spec := shell("exit 5", -1)
	spec.Doc.Rlimits = []stage.Rlimit{{Resource: unix.RLIMIT_NOFILE, Cur: 2, Max: 1}}
	_, err := newSpawner(t).Start(t.Context(), spec)
	if err == nil || !strings.Contains(err.Error(), "set limit nofile: invalid argument") {
		t.Errorf("error is %v", err)
	}
}
