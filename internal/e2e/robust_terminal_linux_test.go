package e2e

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pty: what a user types and reads at, and what a process has for it.
type terminal struct {
	user *os.File
	line *os.File
}

func openTerminal(t testing.TB) terminal {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be had here: %v", err)
	}
	t.Cleanup(func() { _ = user.Close() })
	number := 0
	onDescriptor(t, user, func(fd int) (err error) {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	line, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = line.Close() })
	return terminal{user: user, line: line}
}

func onDescriptor(t testing.TB, f *os.File, do func(fd int) error) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var ioctl error
	if err := raw.Control(func(fd uintptr) { ioctl = do(int(fd)) }); err != nil || ioctl != nil {
		t.Fatal(err, ioctl)
	}
}

// attend starts muster in a session whose terminal this is, and in its foreground.
func (tm terminal) attend(t testing.TB, role string, args ...string) *robustRun {
	t.Helper()
	th := newTether(t)
	c := robustCommand(t, th, role, args...)
	c.Stdio = tm.line
	c.Attr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	r := startCommand(t, th, c)
	_ = tm.line.Close()
	return r
}

// TestControlCReachesTheMasterAlone: the workers of a master in the foreground of a terminal get no SIGINT from it, only the stop signal.
func TestControlCReachesTheMasterAlone(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"^C": "\x03", `^\`: "\x1c"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tm := openTerminal(t)
			r := tm.attend(t, "counter", "-i", "2", "--handoff", "none")
			go func() { _, _ = io.Copy(io.Discard, tm.user) }() // ends with the terminal
			r.wait(2, "^worker ")
			if _, err := tm.user.WriteString(key); err != nil {
				t.Fatal(err)
			}
			r.requireExit(t, 0)
			r.requireNothingLeft(t, true)
			if got := r.all("^got "); len(got) != 2 || len(r.all("^got terminated")) != 2 {
				t.Errorf("workers got %v, want one TERM each", got)
			}
		})
	}
}

// TestTheTerminalsEndIsTheMasters: a hang-up means that nobody is there any more.
func TestTheTerminalsEndIsTheMasters(t *testing.T) {
	t.Parallel()
	tm := openTerminal(t)
	r := tm.attend(t, "counter", "-i", "2", "--handoff", "none")
	r.wait(2, "^worker ")
	_ = tm.user.Close()
	r.requireExit(t, 0)
	r.requireNothingLeft(t, true)
	if got := r.all("^got hangup"); len(got) != 0 {
		t.Errorf("workers got %v", got)
	}
}

// TestHangUpReloads: sent by somebody to a master whose terminal is there, or that has none, HUP asks for new workers.
func TestHangUpReloads(t *testing.T) {
	t.Parallel()
	t.Run("with a terminal", func(t *testing.T) {
		t.Parallel()
		tm := openTerminal(t)
		r := tm.attend(t, "counter", "-i", "1", "--handoff", "none")
		go func() { _, _ = io.Copy(io.Discard, tm.user) }() // ends with the terminal
		r.wait(1, "^worker ")
		requireReload(t, r)
	})
	t.Run("without", func(t *testing.T) {
		t.Parallel()
		r := startRobust(t, "counter", "-i", "1", "--handoff", "none")
		r.WaitLine("serving")
		requireReload(t, r)
	})
}

func requireReload(t *testing.T, r *robustRun) {
	t.Helper()
	r.Signal(syscall.SIGHUP)
	r.wait(2, "^worker ")
	r.wait(1, "^got terminated")
	r.Signal(syscall.SIGTERM)
	r.requireExit(t, 0)
	r.requireNothingLeft(t, true)
}

// TestAPausedReaderHoldsNothingUp: a master whose standard streams nobody reads, with workers that write as fast as they can, ends.
func TestAPausedReaderHoldsNothingUp(t *testing.T) {
	t.Parallel()
	paused, full, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = paused.Close(), full.Close() }()
	th := newTether(t)
	c := robustCommand(t, th, "flood", "-i", "2", "--handoff", "none")
	c.Stdio = full
	r := startCommand(t, th, c)
	r.wait(2, "^worker ")
	awaitFull(t, full)
	r.Signal(syscall.SIGTERM)
	r.requireExit(t, 0)
	r.requireNothingLeft(t, true)
}

// awaitFull waits until a pipe takes nothing more, for which there is no event.
func awaitFull(t testing.TB, w *os.File) {
	t.Helper()
	poll(t, "a full pipe", func() bool {
		full := false
		onDescriptor(t, w, func(fd int) error {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			n, err := unix.Poll(fds, 0)
			full = n == 0
			return err
		})
		return full
	})
}
