package fdpass

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/testutil"
)

// starvedVariable makes the test binary receive with too few descriptors left.
const starvedVariable = "FDPASS_TEST_STARVED"

func TestMain(m *testing.M) {
	if os.Getenv(starvedVariable) != "" {
		fmt.Println(starve())
		return
	}
	testutil.Goroutines(m)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pair returns two connected sockets of this kind.
func pair(typ int) (a, b *net.UnixConn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, typ, 0)
	if err != nil {
		return nil, nil, err
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	a, errA := Conn(fds[0], "a")
	b, errB := Conn(fds[1], "b")
	return a, b, errors.Join(errA, errB)
}

func mustPair(t testing.TB, typ int) (a, b *net.UnixConn) {
	t.Helper()
	a, b, err := pair(typ)
	check(t, err)
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

// identity tells two descriptors of one file from others.
func identity(t testing.TB, fd int) [2]uint64 {
	t.Helper()
	var st unix.Stat_t
	check(t, unix.Fstat(fd, &st))
	return [2]uint64{uint64(st.Dev), st.Ino}
}

// pipes opens n descriptors, each of a pipe of its own; they are closed with the test.
func pipes(t testing.TB, n int) []int {
	t.Helper()
	var fds []int
	for range n {
		var p [2]int
		check(t, unix.Pipe(p[:]))
		check(t, unix.Close(p[1]))
		fds = append(fds, p[0])
	}
	t.Cleanup(func() { closeAll(fds) })
	return fds
}

// Not parallel: it counts the descriptors of the process.
func TestDescriptorsArriveInOrder(t *testing.T) {
	testutil.CheckLeaks(t)
	for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
		for _, n := range []int{0, 1, 2, MaxFDs} {
			a, b := mustPair(t, typ)
			sent := pipes(t, n)
			check(t, Send(a, []byte("hello"), sent...))
			buf := make([]byte, 16)
			got, fds, err := Recv(b, buf)
			check(t, err)
			if string(buf[:got]) != "hello" || len(fds) != n {
				t.Fatalf("received %q with %d descriptors, want %d", buf[:got], len(fds), n)
			}
			for i, fd := range fds {
				flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
				check(t, err)
				if identity(t, fd) != identity(t, sent[i]) || flags&unix.FD_CLOEXEC == 0 {
					t.Errorf("descriptor %d: another file, or not close-on-exec", i)
				}
			}
			closeAll(fds)
		}
	}
}

func TestTooManyDescriptors(t *testing.T) {
	t.Parallel()
	a, _ := mustPair(t, unix.SOCK_STREAM)
	if err := Send(a, []byte("x"), make([]int, MaxFDs+1)...); !errors.Is(err, ErrTooMany) {
		t.Errorf("error %v, want %v", err, ErrTooMany)
	}
	if err := Send(a, nil, 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("descriptors without data: %v", err)
	}
	if err := Send(a, []byte("x"), 1<<20); !errors.Is(err, syscall.EBADF) {
		t.Errorf("descriptor that is not open: %v", err)
	}
}

// A message that does not fit into the socket's buffer goes out in parts, its descriptors with the first one, once.
func TestLongMessage(t *testing.T) {
	t.Parallel()
	a, b := mustPair(t, unix.SOCK_STREAM)
	data := bytes.Repeat([]byte("0123456789"), 1<<17)
	sent := pipes(t, 1)
	done := make(chan error, 1)
	go func() { done <- errors.Join(Send(a, data, sent...), a.Close()) }() // ends when all is read
	var got []byte
	total := 0
	buf := make([]byte, 1<<16)
	for {
		n, fds, err := Recv(b, buf)
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		got = append(got, buf[:n]...)
		total += len(fds)
		closeAll(fds)
	}
	check(t, <-done)
	if !bytes.Equal(got, data) || total != 1 {
		t.Errorf("received %d of %d bytes and %d descriptors", len(got), len(data), total)
	}
}

// Not parallel: it counts the descriptors of the process.
func TestTruncatedDataClosesDescriptors(t *testing.T) {
	testutil.CheckLeaks(t)
	a, b := mustPair(t, unix.SOCK_DGRAM)
	check(t, Send(a, []byte("too long"), pipes(t, 3)...))
	_, fds, err := Recv(b, make([]byte, 3))
	if !errors.Is(err, ErrTruncated) || fds != nil {
		t.Errorf("%d descriptors, error %v; want %v", len(fds), err, ErrTruncated)
	}
}

func TestEndOfStream(t *testing.T) {
	t.Parallel()
	a, b := mustPair(t, unix.SOCK_STREAM)
	check(t, a.Close())
	if _, _, err := Recv(b, make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("error %v, want EOF", err)
	}
	if err := Send(b, []byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("error %v, want EPIPE", err)
	}
}

func TestConnRefuses(t *testing.T) {
	t.Parallel()
	file, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	check(t, err)
	tcp, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	check(t, err)
	for _, fd := range []int{file, tcp, -1} {
		if c, err := Conn(fd, "x"); err == nil {
			t.Errorf("descriptor %d gave %v", fd, c)
		}
	}
}

// The kernel delivers what the limit of open files allows and drops the rest.
func TestTruncatedDescriptors(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), starvedVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.Output()
	check(t, err)
	if got := strings.TrimSpace(string(out)); got != "receive message: message was truncated; leaked 0" {
		t.Errorf("got %q", got)
	}
}

// starve receives five descriptors where three can be opened, and counts what is left open.
func starve() string {
	a, b, err := pair(unix.SOCK_STREAM)
	if err != nil {
		return err.Error()
	}
	next, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	_ = unix.Close(next)
	before := testutil.FDs()
	limit := unix.Rlimit{Cur: uint64(next + 3), Max: uint64(next + 3)}
	if err := Send(a, []byte("x"), 0, 0, 0, 0, 0); err != nil {
		return err.Error()
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err.Error()
	}
	_, _, err = Recv(b, make([]byte, 1))
	return fmt.Sprintf("%v; leaked %d", err, testutil.FDs()-before)
}
