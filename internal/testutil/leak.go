package testutil

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// CheckLeaks fails the test if it ends with goroutines or file descriptors that were not there at the call. Not for parallel tests: both
// belong to the process. Call it before everything that registers a cleanup.
func CheckLeaks(t *testing.T) {
	t.Helper()
	goroutines := goleak.IgnoreCurrent()
	before := openFiles()
	t.Cleanup(func() {
		goleak.VerifyNone(t, goroutines)
		for fd, what := range openFiles() {
			if before[fd] != what {
				t.Errorf("file descriptor leaked: %s %s", fd, what)
			}
		}
	})
}

// Goroutines runs the tests of a package and fails if goroutines are left after the last; for TestMain.
func Goroutines(m *testing.M) { goleak.VerifyTestMain(m) }

// FDs is the number of file descriptors that this process has open; 0 where the system does not tell.
func FDs() int { return len(openFiles()) }

// openFiles maps the open descriptors of this process to what they are, except for those of the runtime's poller.
func openFiles() map[string]string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	files := map[string]string{}
	for _, e := range entries {
		what, err := os.Readlink(fmt.Sprintf("%s/%s", dir, e.Name()))
		if err != nil || strings.HasPrefix(what, "anon_inode:[event") {
			continue
		}
		files[e.Name()] = what
	}
	return files
}
