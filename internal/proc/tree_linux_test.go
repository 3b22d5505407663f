package proc

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTree(t *testing.T) {
	t.Parallel()
	r, w := pipe(t)
	// The shell prints its grandchild's pid.
	p := start(t, newSpawner(t), shell(`sh -c 'sleep 60 & echo $!; wait' & wait`, rawFD(w)))
	w.Close()
	line := make([]byte, 32)
	n, err := r.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	grandchild, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	tree := Tree(p.PID())
	if len(tree) != 3 || tree[0] != p.PID() || tree[2] != grandchild {
		t.Errorf("tree is %v, want %d first, three long, %d last", tree, p.PID(), grandchild)
	}
	if got := Tree(os.Getpid()); !slices.Contains(got, grandchild) {
		t.Errorf("our own tree %v lacks %d", got, grandchild)
	}
	if err := p.SignalGroup(9); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, r)
	p.Wait()
}

// Kernels differ in whether they have the children files; both ways are tested
// on a proc file system of our own.
func TestChildren(t *testing.T) {
	t.Parallel()
	fs := procFS(t.TempDir())
	write := func(name, text string) {
		path := filepath.Join(string(fs), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const rest = " 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 99 0 0"
	write("1/stat", "1 (init) S 0 1"+rest)
	write("5/stat", "5 (a) b) (c) S 1 5"+rest)
	write("6/stat", "6 (x\ny) R 5 5"+rest)
	write("7/stat", "7 broken")
	write("self/stat", "5 (a) S 1 5"+rest)
	write("1/task/1/children", "5 ")
	write("1/task/2/children", "6 8 ")
	write("5/task/5/children", "")

	if diff := cmp.Diff(map[int][]int{0: {1}, 1: {5}, 5: {6}}, fs.byParent()); diff != "" {
		t.Errorf("by parent: %s", diff)
	}
	if diff := cmp.Diff([]int{5, 6, 8}, fs.childrenByTask(1)); diff != "" {
		t.Errorf("by task: %s", diff)
	}
	if got := fs.childrenByTask(5); len(got) != 0 {
		t.Errorf("by task of a leaf: %v", got)
	}
	if s, err := fs.stat(5); err != nil || s != (stat{parent: 1, session: 1, start: 99}) {
		t.Errorf("stat is %+v, %v", s, err)
	}
}

func TestOOMKills(t *testing.T) {
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
		if diff := cmp.Diff(tt.want, oomFiles(tt.groups, tt.mounts)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	if n, ok := oomCount("oom_kill_disable 0\nunder_oom 0\noom_kill 12\n"); n != 12 || !ok {
		t.Errorf("counter is %d, %v", n, ok)
	}
	if _, ok := oomCount("low 0\nhigh 0\n"); ok {
		t.Error("a counter where there is none")
	}
	OOMKills() // the machine decides what is known; it must not fail
}
