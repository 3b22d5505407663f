package e2e

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
	"golang.org/x/sys/unix"
)

// onTerminal runs muster on a terminal of so many columns, and returns what that was sent.
func (s *site) onTerminal(columns uint16, args ...string) string {
	s.t.Helper()
	tm := openTerminal(s.t)
	onDescriptor(s.t, tm.line, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	})
	cmd := exec.CommandContext(testutil.Context(s.t), testutil.Muster(s.t), args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "MUSTER_HOME="+s.home, "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tm.line, tm.line, tm.line
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = tm.line.Close()
	var sent bytes.Buffer
	if _, err := io.Copy(&sent, tm.user); err != nil && !errors.Is(err, syscall.EIO) { // EIO: nobody has the terminal any more
		s.t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		s.t.Fatalf("muster %v: %v\n%s", args, err, sent.String())
	}
	return sent.String()
}

// screen is what stays on the terminal, line by line.
func screen(sent string) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(sent, "\r\n", "\n"), "\n") {
		if i := strings.LastIndex(line, "\r\x1b[K"); i >= 0 {
			line = line[i+len("\r\x1b[K"):]
		}
		lines = append(lines, line)
	}
	return lines
}

// TestProgressOnATerminal: while a command waits, the last line tells for what; nothing of it stays. In a pipe there are plain lines alone.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	s := kept(t)
	s.startApp()
	sent := s.onTerminal(80, "reload", "site")
	if !regexp.MustCompile(`\r\x1b\[K… reload(: \d of 2| of site), \d+m?s`).MatchString(sent) {
		t.Errorf("no status: %q", sent)
	}
	shown := screen(sent)
	if all := strings.Join(shown, "\n"); strings.Contains(all, "…") || strings.Contains(all, "\x1b") {
		t.Errorf("the status stays: %q", shown)
	}
	if last := shown[len(shown)-2]; last != "reloaded site: 2 workers in generation 2" {
		t.Errorf("the last line is %q", last)
	}
	for line := range strings.SplitSeq(sent, "\r\x1b[K") {
		if strings.HasPrefix(line, "…") && len([]rune(strings.TrimRight(line, "\r\n"))) > 79 {
			t.Errorf("too wide: %q", line)
		}
	}
	if piped := s.require(0, "reloaded site", "reload", "site"); strings.ContainsAny(piped.stdout+piped.stderr, "\x1b\r…") {
		t.Errorf("in a pipe: %q", piped.stdout)
	}
	s.require(0, "stopped site", "stop", "site")
	if sent := s.onTerminal(80, "start", "site"); !strings.Contains(sent, "\r\x1b[K… waiting for the workers of site, ") || !strings.Contains(sent, "\x1b[Kstarted site: 2 workers on ") {
		t.Errorf("start: %q", sent)
	}
	if sent := s.onTerminal(80, "reload", "site", "--quiet"); sent != "" {
		t.Errorf("quiet: %q", sent)
	}
}

// TestListFitsTheTerminal: no line is wider than it, and in a pipe nothing is cut.
func TestListFitsTheTerminal(t *testing.T) {
	t.Parallel()
	s := kept(t)
	name := "a-service-whose-name-takes-more-than-half-of-the-line"
	s.require(0, "started "+name, "start", "--name", name, "--", "sleep", "1000")
	for line := range strings.SplitSeq(s.onTerminal(80, "list"), "\r\n") {
		if n := len([]rune(line)); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if sent := s.onTerminal(200, "list"); !strings.Contains(sent, name) {
		t.Errorf("cut without need: %s", sent)
	}
	s.require(0, " "+name+" ", "list")
}
