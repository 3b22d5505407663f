package sock

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/testutil"
)

// roleVariable makes the test binary play a part instead of running the tests.
const roleVariable = "SOCK_TEST_ROLE"

// inherited is the descriptor that a process gets from the test.
const inherited = 3

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		play(role)
		return
	}
	testutil.Goroutines(m)
}

// play ends when the test closes the standard input, or is gone.
func play(role string) {
	perform(role)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// perform plays a role: its name, and what it needs to know.
func perform(role string) {
	switch name, arg, _ := strings.Cut(role, " "); name {
	case "hold":
		fmt.Println("ready")
	case "listen":
		playListen(arg)
	case "slots":
		playSlots()
	case "serve":
		playServe()
	default:
		performHere(name, arg)
	}
}

func playListen(arg string) {
	network, rest, _ := strings.Cut(arg, " ")
	l := app.Listener{Network: network, Host: "127.0.0.1", Path: rest}
	if network != "unix" {
		l.Port, _ = strconv.Atoi(rest)
	}
	s, err := OpenShared(l, Options{})
	if err != nil {
		fmt.Printf("%T %v\n", err, err)
		return
	}
	fmt.Println(s.Port())
}

func playSlots() {
	slots, err := OpenSlots(local(), 2, Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(slots[0].Port())
}

func playServe() {
	l, err := net.FileListener(os.NewFile(inherited, "listener"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ready")
	go func() { // ends with the process
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("served\n"))
			_ = c.Close()
		}
	}()
}

// process is a process that a test started. It dies with the test.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
}

// startRole starts this test binary in a part. It inherits a duplicate of s, if there is one.
func startRole(t *testing.T, role string, s *Socket) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	return start(t, cmd, s)
}

func start(t *testing.T, cmd *exec.Cmd, s *Socket) *process {
	t.Helper()
	if s != nil {
		fd, err := s.Dup()
		check(t, err)
		file := os.NewFile(uintptr(fd), "listener")
		defer file.Close()
		cmd.ExtraFiles = []*os.File{file}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	check(t, err)
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	cmd.Stderr = os.Stderr
	check(t, cmd.Start())
	p := &process{t: t, cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout)}
	t.Cleanup(p.kill)
	return p
}

// line reads the next line of output, or "" at its end.
func (p *process) line() string {
	line, err := p.out.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the process with SIGKILL and waits for it; a second call does nothing.
func (p *process) kill() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = unix.Kill(-p.pid(), unix.SIGKILL)
	_ = p.cmd.Wait() // the signal is its error
}

func local() app.Listener { return app.Listener{Name: "web", Network: "tcp", Host: "127.0.0.1"} }

func unixAt(path string) app.Listener { return app.Listener{Name: "web", Network: "unix", Path: path} }

func socketPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(testutil.TempDir(t), "s")
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openShared(t *testing.T, l app.Listener, o Options) *Socket {
	t.Helper()
	s, err := OpenShared(l, o)
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

func openSlots(t *testing.T, l app.Listener, n int, o Options) []*Socket {
	t.Helper()
	slots, err := OpenSlots(l, n, o)
	check(t, err)
	t.Cleanup(func() { closeAll(slots) })
	return slots
}

// dial connects to a socket; the connection is closed with the test. It names one loopback address where the socket has all: for "[::]" the
// net package dials 0.0.0.0 too when the first attempt takes long, and the loser would be one connection more in a queue.
func dial(t *testing.T, s *Socket) net.Conn {
	t.Helper()
	addr := s.Addr()
	if s.bound.IsValid() && s.bound.Addr().IsUnspecified() {
		addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), s.bound.Port()).String()
	}
	return dialTo(t, s.Network(), addr)
}

func dialTo(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, addr)
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// queueLen is for sockets that report a queue.
func queueLen(t *testing.T, s *Socket) int {
	t.Helper()
	q, err := s.Queue()
	check(t, err)
	return q.Len
}

// eventually waits for a condition of which no event tells.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx := testutil.Context(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("did not happen in time: %s", what)
		case <-tick.C:
		}
	}
}

func nonblocking(t *testing.T, fd int) bool {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	check(t, err)
	return flags&unix.O_NONBLOCK != 0
}

func closesOnExec(t *testing.T, fd int) bool {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	check(t, err)
	return flags&unix.FD_CLOEXEC != 0
}

func closeFD(t *testing.T, fd int) {
	t.Helper()
	check(t, unix.Close(fd))
}
