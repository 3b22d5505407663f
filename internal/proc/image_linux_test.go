package proc

import (
	"os"
	"strings"
	"testing"
)

// What was dropped comes back when it is needed.
func TestDropImage(t *testing.T) {
	t.Parallel()
	DropImage()
	if _, err := os.ReadFile("/proc/self/maps"); err != nil {
		t.Fatal(err)
	}
}

func TestImageRange(t *testing.T) {
	t.Parallel()
	const exe = "/bin/muster"
	for line, want := range map[string]bool{
		"00400000-009cc000 r-xp 00000000 fe:00 12 /bin/muster\n":   true,
		"009cc000-01018000 r--p 005cc000 fe:00 12 /bin/muster\n":   true,
		"01018000-0107f000 rw-p 00c18000 fe:00 12 /bin/muster\n":   false,
		"7f135c49d000-7f135c59d000 rw-p 00000000 00:00 0 \n":       false,
		"7f135c49d000-7f135c59d000 r-xp 00000000 00:00 1 /other\n": false,
	} {
		start, end, ok := imageRange(line, exe)
		if ok != want || ok && (start >= end) {
			t.Errorf("%s: %x-%x %v", strings.TrimSpace(line), start, end, ok)
		}
	}
}
