package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/logs"
	"golang.org/x/sys/unix"
)

func init() {
	roles["filler"] = fillingWorker
	roles["plenty"] = plentifulWorker
	roles["endless line"] = endlessLineWorker
	roles["last words"] = lastWordsWorker
	roles["halves"] = halvingWorker
	roles["priorities"] = prioritizingWorker
}

// filled is how many lines a fillingWorker writes first, and then each time that it is told to.
const filled = 2000

func fillingWorker() {
	say := hold()
	more := onSignal(syscall.SIGUSR1)
	for i := 0; ; {
		for range filled {
			fmt.Printf("line %d %s\n", i, strings.Repeat("o", i%97))
			i++
		}
		say("filled %d", os.Getpid())
		<-more
	}
}

// plentiful is how many lines a plentifulWorker writes: more than waits anywhere.
const plentiful = 100_000

func plentifulWorker() {
	say := hold()
	out := bufio.NewWriter(os.Stdout)
	for i := range plentiful {
		fmt.Fprintf(out, "line %d %s\n", i, strings.Repeat("o", i%97))
	}
	_ = out.Flush()
	say("done %d", os.Getpid())
	forever()
}

// endlessLine is the length of a line.
const endlessLine = 96 << 20

func endlessLineWorker() {
	say := hold()
	_, _ = io.CopyN(os.Stdout, endless(bytes.Repeat([]byte("x"), 1<<16)), endlessLine)
	fmt.Print("end\nnext\n")
	say("done %d", os.Getpid())
	forever()
}

// lastWordsWorker is killed in the middle of a line.
func lastWordsWorker() {
	for i := range 5000 {
		fmt.Fprintf(os.Stderr, "word %d\n", i)
	}
	fmt.Fprint(os.Stderr, "the very last wo")
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func halvingWorker() {
	more := onSignal(syscall.SIGUSR1)
	fmt.Print("first\nhalf ")
	<-more
	fmt.Print("other half\n")
	forever()
}

func prioritizingWorker() { fmt.Print("usual\n<3>bad\n") }

// smallDisk mounts a file system of that size. Only root can.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("no small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

var lostLines = regexp.MustCompile(`muster - - \| warning: log lines lost lines=(\d+) bytes=\d+$`)

// requireCounted reads numbered lines that are whole, in order, and where there are gaps counted. It returns how many there were and how many were
// lost.
func requireCounted(t testing.TB, text string) (lines, lost int) {
	t.Helper()
	for line := range strings.Lines(text) {
		line, whole := strings.CutSuffix(line, "\n")
		if m := lostLines.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			lost += n
			continue
		}
		m := numbered.FindStringSubmatch(line)
		if m == nil || !whole {
			t.Fatalf("after %d lines and %d lost: %q", lines, lost, line)
		}
		if n, _ := strconv.Atoi(m[3]); n != lines+lost || len(m[4]) != n%97 {
			t.Fatalf("after %d lines and %d lost: %q", lines, lost, line)
		}
		lines++
	}
	return lines, lost
}

// TestFullDisk: a disk that is full loses lines, counts them, and takes lines again when it has room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "64k")
	r := startRobust(t, "filler", "-i", "1", "--handoff", "none", "--log-dir", dir, "--log-files", "stream")
	pid, _ := strconv.Atoi(r.wait(1, `^filled (\d+)`)[0][1])
	r.WaitLine(`log lines are being lost file=.*/out.log error=.*no space left`)
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.WaitLine(`log goes on file=.*/out.log lines=\d+ bytes=\d+`)
	r.wait(2, `^filled `)
	r.Stop()
	text, err := os.ReadFile(filepath.Join(dir, "out.log"))
	if err != nil {
		t.Fatal(err)
	}
	if lines, lost := requireCounted(t, string(text)); lines+lost != 2*filled || lost == 0 || lines <= filled {
		t.Errorf("%d lines, %d lost", lines, lost)
	}
}

// TestStuckFile: nobody reads the FIFO that lines go to. The worker is not held up; who reads later finds what there was room for, and how much
// there was not.
func TestStuckFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	r := startRobust(t, "plenty", "-i", "1", "--handoff", "none", "--log-out", path)
	r.wait(1, "^done ")
	r.WaitLine("log lines are being lost file=" + path)
	read := make(chan string, 1)
	go func() { // ends when the master does
		text, _ := io.ReadAll(reader)
		read <- string(text)
	}()
	r.WaitLine("log goes on file=" + path)
	r.Stop()
	if lines, lost := requireCounted(t, <-read); lines+lost != plentiful || lost == 0 || lines == 0 {
		t.Errorf("%d lines, %d lost", lines, lost)
	}
}

// TestStuckOutput: the same for a standard output that nobody reads.
func TestStuckOutput(t *testing.T) {
	t.Parallel()
	near, far, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = near.Close(), far.Close() }()
	th := newTether(t)
	c := robustCommand(t, th, "plenty", "-i", "1", "--handoff", "none")
	c.Stdio = far
	r := startCommand(t, th, c)
	r.wait(1, "^done ")
	r.Signal(syscall.SIGTERM)
	r.requireExit(t, 0)
}

// TestFIFOWithoutReader is refused instead of waited for.
func TestFIFOWithoutReader(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	r := startRobust(t, "plain", "-i", "1", "--handoff", "none", "--log-out", path)
	r.requireExit(t, 1)
	r.WaitLine(`^muster: open log file .*/fifo: no such device or address$`)
}

// TestEndlessLine is written in parts, from a memory that does not grow with it.
func TestEndlessLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := startRobust(t, "endless line", "-i", "1", "--handoff", "none", "--log-dir", dir, "--log-files", "stream", "--log-keep", "1000", "--log-compress=false")
	r.wait(1, "^done ")
	if peak := peakMemory(t, r.Pid()); peak > 128<<10 {
		t.Errorf("the master needed %d kB", peak)
	}
	r.Stop()
	length, parts, lines := 0, 0, []string{}
	for line := range strings.Lines(history(t, filepath.Join(dir, "out.log"))) {
		if _, text, part := strings.Cut(line, " out + "); part {
			length += len(text) - 1
			parts++
		} else {
			_, text, _ := strings.Cut(line, " out | ")
			lines = append(lines, text)
		}
	}
	if len(lines) != 2 || lines[1] != "next\n" || length+len(lines[0])-1 != endlessLine+len("end") || parts < endlessLine/logs.MaxLine {
		t.Errorf("%d bytes in %d parts, then %.100q", length, parts, lines)
	}
}

func peakMemory(t testing.TB, pid int) (kB int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	kB, _ = strconv.Atoi(string(m[1]))
	return kB
}

// TestLastWords: all that a worker wrote before it was killed stands before the report of its end, the unfinished line too.
func TestLastWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := startRobust(t, "last words", "-i", "1", "--handoff", "none", "--max-restarts", "0", "--log-dir", dir)
	r.WaitExit()
	text := history(t, filepath.Join(dir, "out.log"))
	words, report, found := strings.Cut(text, "warning: worker exited")
	if !found || strings.Count(words, " err | word ") != 5000 || !strings.Contains(words, " err | the very last wo\n") {
		t.Errorf("%d words, then %.300s", strings.Count(words, " err | word "), report)
	}
	if strings.Contains(report, " err | ") || !strings.Contains(report, "the very last wo") {
		t.Errorf("after the report: %.1000s", report)
	}
}

// TestUpgradeInTheMiddleOfALine does not cut it.
func TestUpgradeInTheMiddleOfALine(t *testing.T) {
	t.Parallel()
	r := startRobust(t, "halves", "-i", "1", "--handoff", "none")
	r.WaitLine(`\| first$`)
	pid, _ := strconv.Atoi(r.WaitLine(`worker started .*pid=(\d+)`)[1])
	r.Signal(syscall.SIGUSR2)
	r.WaitLine("master goes on")
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.WaitLine(`\| half other half$`)
	r.Stop()
}

// TestUpgradeWithLogFiles: the new program goes on with the files, and nothing is lost in between.
func TestUpgradeWithLogFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := startRobust(t, "numbers for ever", "-i", "2", "--handoff", "none", "--log-dir", dir, "--log-max-size", "1M", "--log-keep", "1000")
	r.wait(2, "^much ")
	for i := range 3 {
		r.Signal(syscall.SIGUSR2)
		r.WaitLines(0, i+1, "master goes on")
	}
	r.Stop()
	requireWhole(t, history(t, filepath.Join(dir, "out.log")))
}

// TestJournal: what goes to the journal has priorities and no time.
func TestJournal(t *testing.T) {
	t.Parallel()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	near, far := os.NewFile(uintptr(ends[0]), "journal"), os.NewFile(uintptr(ends[1]), "stream")
	defer func() { _ = near.Close() }()
	var stat unix.Stat_t
	if err := unix.Fstat(ends[1], &stat); err != nil {
		t.Fatal(err)
	}
	th := newTether(t)
	c := robustCommand(t, th, "priorities", "--job", "--name", "p")
	c.Env = append(c.Env, fmt.Sprintf("JOURNAL_STREAM=%d:%d", stat.Dev, stat.Ino))
	c.Stdio = far
	r := startCommand(t, th, c)
	_ = far.Close()
	r.requireExit(t, 0)
	text, err := io.ReadAll(near)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		if regexp.MustCompile(`^<6>muster:\s+\S`).MatchString(line) {
			continue
		}
		got = append(got, line)
	}
	if diff := cmp.Diff([]string{"<6>p/0   | usual\n", "<3>p/0   | bad\n"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
