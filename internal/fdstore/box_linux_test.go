package fdstore_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/fdstore"
)

// contents are the names in a box, whose descriptors are closed.
func contents(kept []fdstore.Kept) []string {
	var names []string
	for _, k := range kept {
		names = append(names, k.Name)
		_ = unix.Close(k.FD)
	}
	return names
}

func pipe(t *testing.T) (r, w int) {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return ends[0], ends[1]
}

// TestBoxOutlivesItsOwner: whoever has the descriptor of a box finds what is in it, again and again, and can go on with it; with the last who
// has it, the content goes.
func TestBoxOutlivesItsOwner(t *testing.T) {
	b, err := fdstore.NewBox()
	if err != nil {
		t.Fatal(err)
	}
	r, w := pipe(t)
	defer func() { _ = unix.Close(w) }()
	for _, content := range [][]fdstore.Kept{{{"first", r}}, {{"one", r}, {"two", r}}} {
		if err := b.Set(content); err != nil {
			t.Fatal(err)
		}
	}
	_ = unix.Close(r)
	worker, err := unix.Dup(b.FD())
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	for round := range 3 {
		mine, err := unix.Dup(worker)
		if err != nil {
			t.Fatal(err)
		}
		next, kept, err := fdstore.OpenBox(mine)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"one", "two"}, contents(kept)); diff != "" {
			t.Errorf("round %d: %s", round, diff)
		}
		next.Close()
	}
	if _, err := unix.Write(w, []byte("x")); err != nil {
		t.Errorf("what is in the box was closed: %v", err)
	}
	next, kept, err := fdstore.OpenBox(worker)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(kept[1].FD, make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	if err := next.Set(kept[:1]); err != nil {
		t.Fatal(err)
	}
	contents(kept)
	next.Close() // the last who had it
	fds := []unix.PollFd{{Fd: int32(w), Events: unix.POLLOUT}}
	if _, err := unix.Poll(fds, 0); err != nil || fds[0].Revents&unix.POLLERR == 0 {
		t.Errorf("the reading end is still open: %x, %v", fds[0].Revents, err)
	}
}

// TestBoxHoldsMany: more than one message can carry, and no descriptor stays open in this process.
func TestBoxHoldsMany(t *testing.T) {
	b, err := fdstore.NewBox()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	var content []fdstore.Kept
	var want []string
	for i := range 2000 {
		content = append(content, fdstore.Kept{Name: fmt.Sprintf("l%d.%d", i%3, i), FD: int(null.Fd())})
		want = append(want, content[i].Name)
	}
	for range 20 {
		if err := b.Set(content); err != nil {
			t.Fatal(err)
		}
	}
	before := open(t)
	far, err := unix.Dup(b.FD())
	if err != nil {
		t.Fatal(err)
	}
	next, kept, err := fdstore.OpenBox(far)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, contents(kept)); diff != "" {
		t.Error(diff)
	}
	next.Close()
	if after := open(t); after != before {
		t.Errorf("%d descriptors were open, %d are", before, after)
	}
}

func open(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestSealedBox(t *testing.T) {
	r, w := pipe(t)
	defer func() { _ = unix.Close(w) }()
	fd, err := fdstore.Seal([]fdstore.Kept{{"stdout", r}})
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(r)
	for range 2 {
		kept, err := fdstore.Unseal(fd)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"stdout"}, contents(kept)); diff != "" {
			t.Error(diff)
		}
	}
	if _, _, err := fdstore.OpenBox(fd); err == nil {
		t.Error("a sealed box can be changed")
	}
}
