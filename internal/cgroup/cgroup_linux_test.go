package cgroup

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestKillFiles(t *testing.T) {
	t.Parallel()
	const (
		hybrid = `31 23 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
32 23 0:28 / /sys/fs/cgroup/memory rw,nosuid shared:10 - cgroup cgroup rw,memory
33 23 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct
`
		unified   = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n"
		container = "612 611 0:30 /docker/abc /sys/fs/cgroup/memory ro master:12 - cgroup cgroup rw,memory\n"
	)
	tests := []struct {
		name, groups, mounts string
		want                 []string
	}{
		{"v2", "0::/user.slice/app\n", unified, []string{"/sys/fs/cgroup/user.slice/app/memory.events"}},
		{"hybrid", "4:memory:/app\n1:cpu:/\n0::/app\n", hybrid, []string{"/sys/fs/cgroup/unified/app/memory.events", "/sys/fs/cgroup/memory/app/memory.oom_control"}},
		{"v1 in a container", "4:memory:/docker/abc/sub\n", container, []string{"/sys/fs/cgroup/memory/sub/memory.oom_control"}},
		{"outside of the mount", "4:memory:/other\n", container, nil},
		{"none", "", unified, nil},
		{"nonsense", "x\n1:2\n", "x y - z\n", nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, killFiles(hierarchies(tt.groups, tt.mounts))); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	if n, ok := countIn("oom_kill_disable 0\nunder_oom 0\noom_kill 12\n", "oom_kill"); n != 12 || !ok {
		t.Errorf("counter is %d, %v", n, ok)
	}
	if _, ok := countIn("low 0\nhigh 0\n", "oom_kill"); ok {
		t.Error("a counter where there is none")
	}
	OwnKills() // the machine decides what is known; it must not fail
	AllKills()
}

// unified lays out a hierarchy of version 2 as files, in which a process is in the group inner.
func unified(t *testing.T, inner, controllers string) (root string, all []hierarchy) {
	t.Helper()
	root = t.TempDir()
	dir := filepath.Join(root, inner)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for d := dir; strings.HasPrefix(d, root); d = filepath.Dir(d) {
		for name, text := range map[string]string{"cgroup.controllers": controllers, procs: "", subtree: ""} {
			if err := os.WriteFile(filepath.Join(d, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root, hierarchies("0::/"+inner+"\n", "30 23 0:26 / "+root+" rw - cgroup2 cgroup2 rw\n")
}

func TestFindTheBase(t *testing.T) {
	t.Parallel()
	for inner, want := range map[string]string{"": "", ownName: "", "a/" + ownName: "a", "a/b": "a/b"} {
		root, all := unified(t, inner, "cpu io memory pids\n")
		p := findIn(all)
		wanted := []Dir{{Path: filepath.Join(root, want), Resources: []Resource{Tasks, Memory, CPU}}}
		if inner == "a/b" && systemdRuns() && os.Geteuid() == 0 {
			wanted = nil // it is not delegated
		}
		if diff := cmp.Diff(wanted, p.bases); diff != "" {
			t.Errorf("%q: %s", inner, diff)
		}
	}
}

func TestWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, all := unified(t, "", "hugetlb pids\n")
	p := findIn(all)
	if p.Missing(Tasks) != nil {
		t.Errorf("tasks: %v", p.Missing(Tasks))
	}
	for _, r := range []Resource{Memory, CPU} {
		m := p.Missing(r)
		if m == nil || !strings.Contains(m.Why, "has the controller "+controllers[r]) || m.Hint == "" {
			t.Errorf("%s: %v", r, m)
		}
	}
	if p := findIn(nil); p.Missing(Memory) == nil || p.Make("x") != nil {
		t.Error("a group where there are none")
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	limits := Limits{Memory: 1 << 20, CPU: 1.5, Tasks: 7}
	tests := []struct {
		d    Dir
		r    Resource
		l    Limits
		want []setting
	}{
		{Dir{}, Memory, limits, []setting{{"memory.max", "1048576"}}},
		{Dir{}, Memory, Limits{}, []setting{{"memory.max", "max"}}},
		{Dir{}, CPU, limits, []setting{{"cpu.max", "150000 100000"}}},
		{Dir{}, CPU, Limits{CPU: 0.001}, []setting{{"cpu.max", "1000 100000"}}},
		{Dir{}, CPU, Limits{}, []setting{{"cpu.max", "max 100000"}}},
		{Dir{}, Tasks, limits, []setting{{"pids.max", "7"}}},
		{Dir{V1: true}, Tasks, Limits{}, []setting{{"pids.max", "max"}}},
		{Dir{V1: true}, Memory, limits, []setting{{"memory.limit_in_bytes", "1048576"}}},
		{Dir{V1: true}, Memory, Limits{}, []setting{{"memory.limit_in_bytes", "-1"}}},
		{Dir{V1: true}, CPU, limits, []setting{{"cpu.cfs_period_us", "100000"}, {"cpu.cfs_quota_us", "150000"}}},
		{Dir{V1: true}, CPU, Limits{}, []setting{{"cpu.cfs_period_us", "100000"}, {"cpu.cfs_quota_us", "-1"}}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, tt.d.settings(tt.r, tt.l), cmp.AllowUnexported(setting{})); diff != "" {
			t.Errorf("%+v %s: %s", tt.d, tt.r, diff)
		}
	}
}

// realGroup makes a group in the control groups of this machine.
func realGroup(t *testing.T) *Group {
	t.Helper()
	p := Find()
	g := p.Make("muster-test-" + strconv.FormatUint(rand.Uint64(), 36))
	if g == nil {
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatalf("no group can be made here: %v", p.Missing(Memory))
		}
		t.Skipf("no group can be made here: %v", p.Missing(Memory))
	}
	t.Cleanup(func() {
		if err := g.Clear(); err != nil {
			t.Error(err)
		}
		for _, d := range g.Dirs {
			if _, err := os.Stat(d.Path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is left: %v", d.Path, err)
			}
		}
	})
	return g
}

// TestARealGroup takes a tree of processes in, reads its limits back, and kills it.
func TestARealGroup(t *testing.T) {
	t.Parallel()
	g := realGroup(t)
	w := g.Child("w1")
	if err := w.Open(); err != nil {
		t.Fatal(err)
	}
	if refused := w.Limit(Limits{Memory: 32 << 20, CPU: 0.25, Tasks: 50}); len(refused) > 0 {
		t.Fatalf("refused: %v", refused)
	}
	for file, want := range map[string]string{
		"memory.max": "33554432", "memory.limit_in_bytes": "33554432", "cpu.max": "25000 100000", "cpu.cfs_quota_us": "25000", "pids.max": "50",
	} {
		for _, d := range w.Dirs {
			if text, err := os.ReadFile(filepath.Join(d.Path, file)); err == nil && strings.TrimSpace(string(text)) != want {
				t.Errorf("%s: %s is %q, want %q", d.Path, file, text, want)
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", "for f; do echo 0 > $f; done; setsid sleep 1000 & echo; exec sleep 1000", "sh"}, w.Entrances()...)...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the process did not enter: %v", err)
	}
	if diff := cmp.Diff([]string{"w1"}, g.Children()); diff != "" {
		t.Error(diff)
	}
	if n := len(members(w.Dirs[0].Path)); n != 2 {
		t.Errorf("%d processes are in the group, want 2", n)
	}
	if c, ok := w.Counts(); g.dir(Memory) != nil && (!ok || c != Counts{}) {
		t.Errorf("counts are %+v, %v", c, ok)
	}
	if err := w.Clear(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err == nil {
		t.Error("a process lives on")
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.String(); got != "signal: "+unix.SIGKILL.String() {
		t.Errorf("ended by %s", got)
	}
}

// TestWhatAMasterLeft is cleared by the next that makes the group.
func TestWhatAMasterLeft(t *testing.T) {
	t.Parallel()
	g := realGroup(t)
	w := g.Child("w1")
	for range 2 { // Open takes the place of one that is left
		if err := w.Open(); err != nil {
			t.Fatal(err)
		}
	}
	if again := Find().Make(filepath.Base(g.Dirs[0].Path)); again == nil || len(again.Children()) != 0 {
		t.Errorf("got %+v with %v", again, again.Children())
	}
	if err := ClearFolder("/sys/fs/cgroup/memory"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("somebody else's group is cleared: %v", err)
	}
}
