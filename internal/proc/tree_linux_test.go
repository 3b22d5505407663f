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
