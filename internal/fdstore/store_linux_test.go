package fdstore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/fdstore"
	"github.com/musterd/muster/internal/notify"
	"github.com/musterd/muster/internal/testutil"
)

func names(s *fdstore.Store) []string {
	list := []string{}
	for _, k := range s.Kept() {
		list = append(list, k.Name)
	}
	return list
}

func TestStoreKeepsAndForgets(t *testing.T) {
	t.Parallel()
	heard := make(chan notify.Message, 1)
	s, err := fdstore.New(filepath.Join(testutil.TempDir(t), "s"), 3, func(m notify.Message) { heard <- m })
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	c := fdstore.NewClient(s.Path())
	push := func(name string) {
		t.Helper()
		if err := c.Push(name, int(r.Fd())); err != nil {
			t.Fatal(err)
		}
	}
	push("one")
	push("one") // the same once more
	push("two")
	push("three")
	push("four") // too many
	if err := notify.Send(s.Path(), notify.Message{Ready: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one", "two", "three"}, names(s)); diff != "" {
		t.Error(diff)
	}
	if m := <-heard; !m.Ready {
		t.Errorf("heard %+v", m)
	}
	if err := c.Remove("two"); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one", "three"}, names(s)); diff != "" {
		t.Error(diff)
	}
	_ = r.Close()
	fd := s.Kept()[0].FD
	if _, err := w.WriteString("x"); err != nil {
		t.Errorf("the kept end is closed: %v", err)
	}
	if n, err := unix.Read(fd, make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	s.Close()
	if _, err := w.WriteString("x"); err == nil {
		t.Error("an end is open after Close")
	}
}

func TestPagesSurviveATornWrite(t *testing.T) {
	t.Parallel()
	p, err := fdstore.NewPages("test", 7)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	fds := p.FDs()
	if _, _, err := fdstore.ReadPages(fds[:]); err == nil {
		t.Error("nothing was written, and read")
	}
	read := func() string {
		t.Helper()
		text, _, err := fdstore.ReadPages(fds[:])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, text := range []string{"first", "second, longer", "third"} {
		if err := p.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := read(); got != text {
			t.Errorf("read %q, want %q", got, text)
		}
	}
	if _, err := unix.Pwrite(fds[0], []byte("tor"), 22); err != nil { // the third has the number 10
		t.Fatal(err)
	}
	if got := read(); got != "second, longer" {
		t.Errorf("read %q beside a torn page", got)
	}
}
