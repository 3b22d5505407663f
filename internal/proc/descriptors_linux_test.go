package proc

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDescriptorsAreCounted(t *testing.T) {
	fs := procFS(t.TempDir())
	folder := fs.path(7, "fd")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if fs.descriptors(8) != 0 {
		t.Error("a process that does not exist has descriptors")
	}
	for i, name := range []string{"0", "1", "2"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(folder)
		if err != nil {
			t.Fatal(err)
		}
		if got := fs.descriptors(7); got < int64(i+1) || info.Size() == 0 && got != int64(i+1) {
			t.Errorf("%d descriptors, want %d", got, i+1)
		}
	}
}

// TestDescriptorsOfThisProcess grow with what it opens.
func TestDescriptorsOfThisProcess(t *testing.T) {
	before := Descriptors([]int{os.Getpid()})
	const more = 300 // other tests open and close some meanwhile
	for range more {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
	}
	if now := Descriptors([]int{os.Getpid()}); before == 0 || now < before+more/2 {
		t.Errorf("%d before, %d after %d were opened", before, now, more)
	}
}
