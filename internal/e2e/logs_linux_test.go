package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/testutil"
)

func init() {
	roles["numbers"] = numberingWorker
	roles["numbers for ever"] = endlessNumbers
}

// numberedLines is how many lines a numberingWorker writes to each stream.
const numberedLines = 20_000

// numberingWorker writes numbered lines to both streams, and ends.
func numberingWorker() {
	out, errs := bufio.NewWriter(os.Stdout), bufio.NewWriter(os.Stderr)
	for i := range numberedLines {
		fmt.Fprintf(out, "line %d %s\n", i, strings.Repeat("o", i%97))
		fmt.Fprintf(errs, "line %d %s\n", i, strings.Repeat("e", i%89))
	}
	_ = out.Flush()
	_ = errs.Flush()
}

// endlessNumbers writes numbered lines as fast as they are read.
func endlessNumbers() {
	say := hold()
	say("worker %d", os.Getpid())
	out := bufio.NewWriterSize(os.Stdout, 1000)
	for i := 0; ; i++ {
		fmt.Fprintf(out, "line %d %s\n", i, strings.Repeat("o", i%97))
		if i == 50_000 {
			say("much %d", os.Getpid())
		}
	}
}

// history is all that was ever written to a log file, archives first.
func history(t testing.TB, path string) string {
	t.Helper()
	archives, err := logs.Archives(path)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, a := range archives {
		text, err := a.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all.Write(text)
	return all.String()
}

var numbered = regexp.MustCompile(`^(\S+Z|\S+[+-]\d\d:\d\d) (\S+ \d+ (?:out|err)) \| line (\d+) ([oe]*)$`)

// requireNumbered reads the lines of numbering workers: of each stream, those from 0 on, whole and in order. It returns how many there are of each.
func requireNumbered(t testing.TB, text string) map[string]int {
	t.Helper()
	next := map[string]int{}
	for line := range strings.Lines(text) {
		if strings.Contains(line, " muster - - | ") {
			continue
		}
		m := numbered.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("after %v: %q", next, line)
		}
		if want := fmt.Sprint(next[m[2]]); m[3] != want || len(m[4]) != next[m[2]]%97 && len(m[4]) != next[m[2]]%89 {
			t.Fatalf("of %s, instead of line %s: %q", m[2], want, line)
		}
		next[m[2]]++
	}
	return next
}

// TestLogFilesLoseNothing writes through many rotations.
func TestLogFilesLoseNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := startRobust(t, "numbers", "--job", "--name", "n", "--log-dir", dir, "--log-max-size", "64K", "--log-keep", "1000")
	r.requireExit(t, 0)
	path := filepath.Join(dir, "out.log")
	got := requireNumbered(t, history(t, path))
	if want := map[string]int{"n/0 1 out": numberedLines, "n/0 1 err": numberedLines}; !cmp.Equal(got, want) {
		t.Errorf("lines %v", got)
	}
	archives, _ := logs.Archives(path)
	if len(archives) < 20 {
		t.Errorf("%d archives", len(archives))
	}
	if !strings.Contains(history(t, path), " muster - - | run succeeded") {
		t.Error("what the master says is not there")
	}
	if strings.Contains(r.Output(), "line 1") {
		t.Error("lines are on the standard output as well")
	}
}

func TestLogLayouts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		layout string
		want   []string
	}{
		{"app", []string{"out.log"}},
		{"stream", []string{"err.log", "master.log", "out.log"}},
		{"worker", []string{"0.log", "1.log", "master.log"}},
	}
	for _, test := range tests {
		t.Run(test.layout, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := startRobust(t, "plain", "-i", "2", "--handoff", "none", "--log-dir", dir, "--log-files", test.layout)
			r.WaitLine("serving workers=2")
			r.Stop()
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, entry := range entries {
				got = append(got, entry.Name())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLogFilesAreReopened: whoever moves the files away sends USR1.
func TestLogFilesAreReopened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "out.log")
	r := startRobust(t, "numbers for ever", "-i", "2", "--handoff", "none", "--log-dir", dir, "--log-rotate=false")
	r.wait(2, "^much ")
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	r.Signal(syscall.SIGUSR1)
	r.WaitLine("log files reopened files=1")
	r.Stop()
	moved, err := os.ReadFile(path + ".moved")
	if err != nil {
		t.Fatal(err)
	}
	rest, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(moved, []byte("\n")) || len(rest) == 0 {
		t.Errorf("moved ends with %q, %d bytes follow", moved[max(0, len(moved)-20):], len(rest))
	}
	requireWhole(t, string(moved)+string(rest))
}

// requireWhole is requireNumbered for workers that were killed in the middle of a line.
func requireWhole(t testing.TB, text string) {
	t.Helper()
	last := map[string]int{}
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if m := regexp.MustCompile(`^\S+ (\S+ \d+ (?:out|err)) \| `).FindStringSubmatch(line); m != nil {
			last[m[1]] = i
		}
	}
	for _, i := range last { // the last line of each may be torn by the worker's own end
		lines[i] = ""
	}
	requireNumbered(t, strings.Join(lines, ""))
}

// TestAKilledMasterLeavesWholeLines: SIGKILL, in the middle of a flood.
func TestAKilledMasterLeavesWholeLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := startRobust(t, "numbers for ever", "-i", "2", "--handoff", "none", "--log-dir", dir, "--log-max-size", "1M", "--log-keep", "1000")
	r.wait(2, "^much ")
	r.Signal(syscall.SIGKILL)
	r.WaitExit()
	text := history(t, filepath.Join(dir, "out.log"))
	requireNumbered(t, text[:strings.LastIndexByte(text, '\n')+1])
}

// TestLogFolderIsRefused before anything starts.
func TestLogFolderIsRefused(t *testing.T) {
	t.Parallel()
	r := testutil.StartMuster(t, "run", "--log-dir", "/proc/logs", "--", "true")
	if code := r.WaitExit().ExitCode(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	want := "muster: open log file /proc/logs/out.log: no such file or directory\n" +
		"hint: choose a folder that muster may write to, with --log-dir, or a file, with --log-out and --log-err"
	if diff := cmp.Diff(want, r.Output()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
