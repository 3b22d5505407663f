package logs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func openLog(t *testing.T, path string, r Rotation) *File {
	t.Helper()
	f, err := OpenFile(path, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func mustWrite(t testing.TB, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// archived is the text of each archive, the oldest first.
func archived(t *testing.T, path string) []string {
	t.Helper()
	all, err := Archives(path)
	if err != nil {
		t.Fatal(err)
	}
	texts := make([]string, len(all))
	for i, a := range all {
		text, err := a.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	return texts
}

func TestFileRotatesBySize(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "out.log")
	f := openLog(t, path, Rotation{MaxSize: 10})
	mustWrite(t, f, "one\ntwo\nthree\nfour\n")
	mustWrite(t, f, "a line that is longer than a file\nfive\n")
	mustWrite(t, f, "six\n")
	want := []string{"one\ntwo\n", "three\n", "four\n", "a line that is longer than a file\n"}
	if diff := cmp.Diff(want, archived(t, path)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := contents(t, path); got != "five\nsix\n" {
		t.Errorf("got %q", got)
	}
}

func TestFileRotatesByAge(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.log")
	f := openLog(t, path, Rotation{Every: time.Hour})
	mustWrite(t, f, "old\n")
	f.begun = time.Now().Add(-time.Hour)
	mustWrite(t, f, "new\n")
	if got := archived(t, path); !cmp.Equal(got, []string{"old\n"}) || contents(t, path) != "new\n" {
		t.Errorf("archives %q", got)
	}
}

// TestFileGoesOn opens a file that is there: size and beginning count on.
func TestFileGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.log")
	f := openLog(t, path, Rotation{MaxSize: 10})
	mustWrite(t, f, "12345678\nx\n")
	_ = f.Close()
	f = openLog(t, path, Rotation{MaxSize: 10})
	mustWrite(t, f, "1234567\ny\n")
	if got := archived(t, path); !cmp.Equal(got, []string{"12345678\n", "x\n1234567\n"}) {
		t.Errorf("archives %q", got)
	}
}

func TestFileKeepsSome(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.log")
	f := openLog(t, path, Rotation{MaxSize: 4, Keep: 3, Compress: true})
	for i := range 100 {
		mustWrite(t, f, fmt.Sprintf("%3d\n", i))
	}
	all := awaitArchives(t, path, func(all []Archive) bool { return len(all) == 3 && all[0].Gzipped && all[2].Gzipped })
	if got := archived(t, path); !cmp.Equal(got, []string{" 96\n", " 97\n", " 98\n"}) {
		t.Errorf("archives %q", got)
	}
	_ = f.Close()
	left, _ := filepath.Glob(path + "*")
	if len(left) != 4 {
		t.Errorf("left %v, archives %v", left, all)
	}
}

// awaitArchives looks until they are right: what is done with them makes no event.
func awaitArchives(t *testing.T, path string, right func([]Archive) bool) []Archive {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		all, err := Archives(path)
		if err != nil {
			t.Fatal(err)
		}
		if right(all) {
			return all
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("archives %v", all)
		}
	}
}

func TestOldArchivesGo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.log")
	old := archivePath(path, time.Now().Add(-2*time.Hour))
	young := archivePath(path, time.Now().Add(-time.Minute))
	for _, name := range []string{old, young, path + ".1", path + ".20260102T150405.000000Z.gz.tmp", path + "x.20260102T150405.000000Z"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openLog(t, path, Rotation{MaxSize: 10, MaxAge: time.Hour})
	awaitArchives(t, path, func(all []Archive) bool { return len(all) == 1 && all[0].Path == young })
	left, _ := filepath.Glob(path + "*")
	if diff := cmp.Diff([]string{path, path + ".1", young, path + "x.20260102T150405.000000Z"}, left); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestClockGoesBack: archives keep their order.
func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.log")
	future := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	if err := os.WriteFile(archivePath(path, future), []byte("future\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := openLog(t, path, Rotation{MaxSize: 4})
	mustWrite(t, f, "one\ntwo\nsix\n")
	if got := archived(t, path); !cmp.Equal(got, []string{"future\n", "one\n", "two\n"}) {
		t.Errorf("archives %q", got)
	}
}

// TestInterruptedCompression finds an archive that is there twice, and half a compressed one.
func TestInterruptedCompression(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.log")
	one := archivePath(path, time.Now().Add(-time.Hour))
	if err := os.WriteFile(one, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := compress(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(one, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := Archives(path); err != nil || len(all) != 1 || !all[0].Gzipped {
		t.Errorf("archives %v, %v", all, err)
	}
	f := openLog(t, path, Rotation{MaxSize: 10, Compress: true})
	mustWrite(t, f, "three\nfour\nfive\n")
	awaitArchives(t, path, func(all []Archive) bool {
		_, err := os.Stat(one)
		return len(all) == 2 && all[1].Gzipped && errors.Is(err, os.ErrNotExist)
	})
	if got := archived(t, path); !cmp.Equal(got, []string{"one\n", "three\n"}) {
		t.Errorf("archives %q", got)
	}
}

// TestMovedAway: who moves the file away says so, or it is noticed.
func TestMovedAway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "folder", "out.log")
	f := openLog(t, path, Rotation{})
	mustWrite(t, f, "one\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, f, "two\n")
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, f, "three\n")
	if got := contents(t, path+".1") + "-" + contents(t, path); got != "one\ntwo\n-three\n" {
		t.Errorf("got %q", got)
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	f.looked = time.Now().Add(-lookEvery)
	mustWrite(t, f, "four\n")
	if got := contents(t, path); got != "four\n" {
		t.Errorf("got %q", got)
	}
}

// TestEmptied: a file that somebody has emptied is written from its beginning.
func TestEmptied(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.log")
	f := openLog(t, path, Rotation{MaxSize: 10})
	mustWrite(t, f, "12345678\n")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	f.looked = time.Now().Add(-lookEvery)
	mustWrite(t, f, "new\n")
	if got := contents(t, path); got != "new\n" || len(archived(t, path)) > 0 {
		t.Errorf("got %q", got)
	}
}

// TestTornLine goes on behind a line that a killed master has begun.
func TestTornLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.log")
	if err := os.WriteFile(path, []byte("one\ntor"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := openLog(t, path, Rotation{})
	mustWrite(t, f, "two\n")
	if got := contents(t, path); got != "one\ntor\ntwo\n" {
		t.Errorf("got %q", got)
	}
}

func TestNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(plain, "out.log"), "/proc/none/out.log"} {
		_, err := OpenFile(path, Rotation{})
		e, ok := errors.AsType[*OpenError](err)
		if !ok || !strings.HasPrefix(err.Error(), "open log file "+path+": ") || !strings.Contains(e.Hint(), "--log-dir") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestDeviceIsNotRotated(t *testing.T) {
	t.Parallel()
	f := openLog(t, os.DevNull, Rotation{MaxSize: 4, Every: time.Nanosecond})
	mustWrite(t, f, "one\ntwo\nthree\n")
}
