package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// roleVar makes the test binary play a part instead of running tests.
const roleVar = "NOTIFY_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "sender":
		exitWith(Send(os.Getenv("NOTIFY_SOCKET"), Message{Ready: true, Status: "from afar"}))
	case "cramped":
		exitWith(receiveCramped(os.Getenv("NOTIFY_SOCKET")))
	}
	os.Exit(m.Run())
}

func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func listen(t *testing.T) *Socket {
	t.Helper()
	dir, err := os.MkdirTemp("", "m") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s, err := Listen(filepath.Join(dir, "n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.conn.Close() })
	deadline, ok := t.Deadline()
	if !ok {
		deadline = time.Now().Add(time.Minute)
	}
	if err := s.conn.SetReadDeadline(deadline.Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	return s
}

// receive returns the next datagram by reference, so that what the test has closed is not closed again.
func receive(t *testing.T, s *Socket) *Datagram {
	t.Helper()
	d, err := s.Receive()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return &d
}

// command prepares a process that is killed with the test.
func command(t *testing.T, s *Socket, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+s.Path())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

func role(t *testing.T, s *Socket, role string) *exec.Cmd {
	cmd := command(t, s, os.Args[0])
	cmd.Env = append(cmd.Env, roleVar+"="+role)
	return cmd
}

func TestReceiveFromProcess(t *testing.T) {
	t.Parallel()
	s := listen(t)
	cmd := role(t, s, "sender")
	if out, err := cmd.CombinedOutput(); err != nil { // gone before we look: only the kernel can tell who it was
		t.Fatalf("%v: %s", err, out)
	}
	want := &Datagram{
		Message: Message{Ready: true, Status: "from afar", HasStatus: true},
		Creds:   Creds{PID: cmd.Process.Pid, UID: os.Getuid(), GID: os.Getgid()},
	}
	if diff := cmp.Diff(want, receive(t, s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReceiveDescriptors(t *testing.T) {
	t.Parallel()
	s := listen(t)
	r, w := pipe(t)
	fds := make([]int, MaxFDs)
	for i := range fds {
		fds[i] = int(w.Fd())
	}
	if err := Send(s.Path(), Message{FDStore: true, FDName: "many"}, fds...); err != nil {
		t.Fatal(err)
	}
	w.Close()
	d := receive(t, s)
	if d.Err != nil || len(d.FDs) != MaxFDs || d.Message.FDName != "many" {
		t.Fatalf("got %d descriptors, message %+v, error %v", len(d.FDs), d.Message, d.Err)
	}
	for _, fd := range d.FDs {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Fatalf("fd %d: flags %x, error %v", fd, flags, err)
		}
	}
	if d.AnswerBarrier() {
		t.Error("taken for a barrier")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	awaitEOF(t, r)
}

func TestBarrier(t *testing.T) {
	t.Parallel()
	s := listen(t)
	r, w := pipe(t)
	if err := Send(s.Path(), Message{Barrier: true}, int(w.Fd())); err != nil {
		t.Fatal(err)
	}
	w.Close()
	d := receive(t, s)
	if !d.AnswerBarrier() || d.FDs != nil {
		t.Fatalf("not answered: %+v", d)
	}
	awaitEOF(t, r)
	if err := Send(s.Path(), Message{Barrier: true}); err != nil {
		t.Fatal(err)
	}
	if d := receive(t, s); d.AnswerBarrier() {
		t.Error("a barrier without a descriptor was answered")
	}
}

func TestSystemdNotify(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("systemd-notify")
	if err != nil {
		t.Skip("systemd-notify is not installed")
	}
	s := listen(t)
	cmd := command(t, s, path, "--ready", "--status=from systemd", "X_OWN=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := receive(t, s)
	want := Message{Ready: true, Status: "from systemd", HasStatus: true, Unknown: []string{"X_OWN=1"}}
	if diff := cmp.Diff(want, d.Message); diff != "" || d.Err != nil {
		t.Errorf("error %v (-want +got):\n%s", d.Err, diff)
	}
	if d := receive(t, s); !d.AnswerBarrier() {
		t.Errorf("no barrier: %+v", d)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, out.Bytes())
	}
}

// TestCramped sends more descriptors than the receiver has room for.
func TestCramped(t *testing.T) {
	t.Parallel()
	if out, err := role(t, listen(t), "cramped").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func receiveCramped(path string) error {
	s, err := Listen(path + ".cramped")
	if err != nil {
		return err
	}
	defer s.Close()
	ten := make([]int, 10)
	if err := Send(s.Path(), Message{FDStore: true}, ten...); err != nil {
		return err
	}
	before := openFDs()
	limit := unix.Rlimit{Cur: uint64(len(before) + 4), Max: uint64(len(before) + 4)}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	d, err := s.Receive()
	if err != nil {
		return err
	}
	if d.Err == nil || len(d.FDs) > 0 || d.Message.FDStore || d.Creds.PID != os.Getpid() {
		return fmt.Errorf("not refused: %+v", d)
	}
	if after := openFDs(); !cmp.Equal(before, after) {
		return fmt.Errorf("descriptors %v became %v", before, after)
	}
	return nil
}

func openFDs() (open []int) {
	for fd := range 100 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			open = append(open, fd)
		}
	}
	return open
}

func TestTooLongDatagram(t *testing.T) {
	t.Parallel()
	s := listen(t)
	r, w := pipe(t)
	conn := dial(t, s)
	long := "READY=1\nSTATUS=" + strings.Repeat("x", MaxSize)
	if err := write(conn, []byte(long), []int{int(w.Fd())}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	d := receive(t, s)
	if d.Err == nil || d.Message.Ready || len(d.FDs) > 0 {
		t.Errorf("not refused: %+v", d)
	}
	awaitEOF(t, r)
	if _, err := conn.Write(nil); err != nil {
		t.Fatal(err)
	}
	if d := receive(t, s); d.Err != nil || !cmp.Equal(d.Message, Message{}) {
		t.Errorf("an empty datagram gave %+v", d)
	}
}

// TestFlood fills the socket until the kernel refuses; every accepted message is still received, and then there is room again.
func TestFlood(t *testing.T) {
	t.Parallel()
	s := listen(t)
	sent := flood(t, s)
	for i := range sent {
		if d := receive(t, s); d.Message.Errno != i+1 {
			t.Fatalf("message %d is %+v", i+1, d)
		}
	}
	if err := Send(s.Path(), Message{Ready: true}); err != nil {
		t.Fatal(err)
	}
	if d := receive(t, s); !d.Message.Ready {
		t.Errorf("got %+v", d)
	}
}

// TestSendWaits sends to a manager whose buffer is full and who reads on later.
func TestSendWaits(t *testing.T) {
	t.Parallel()
	s := listen(t)
	sent := flood(t, s)
	result := make(chan error, 1)
	go func() { result <- Send(s.Path(), Message{Ready: true}) }() // ends when there is room
	for range sent {
		receive(t, s)
	}
	if d := receive(t, s); !d.Message.Ready {
		t.Errorf("got %+v", d)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// flood sends messages, numbered from 1, until there is no room, and returns how many.
func flood(t *testing.T, s *Socket) (sent int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for {
		err := unix.Sendto(fd, Message{Errno: sent + 1}.Append(nil), 0, &unix.SockaddrUnix{Name: s.Path()})
		if errors.Is(err, unix.EAGAIN) && sent > 0 {
			return sent
		}
		if err != nil {
			t.Fatalf("after %d messages: %v", sent, err)
		}
		sent++
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	s := listen(t)
	result := make(chan error, 1)
	go func() { // ends when Close makes Receive return
		_, err := s.Receive()
		result <- err
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; !errors.Is(err, net.ErrClosed) {
		t.Errorf("receive: %v", err)
	}
	if _, err := os.Lstat(s.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestListenPaths(t *testing.T) {
	t.Parallel()
	s := listen(t)
	if info, err := os.Lstat(s.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if _, err := Listen(s.Path()); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a living socket was taken over: %v", err)
	}
	if err := s.conn.Close(); err != nil { // as if its process had died: the file stays
		t.Fatal(err)
	}
	again, err := Listen(s.Path())
	if err != nil {
		t.Fatalf("a stale socket was not replaced: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(s.Path(), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(s.Path()); err == nil {
		t.Error("a file was replaced")
	}
	if _, err := Listen("/" + strings.Repeat("x", maxPath)); err == nil || !strings.Contains(err.Error(), "longer than 107") {
		t.Errorf("long path: %v", err)
	}
}

func TestSendRefuses(t *testing.T) {
	t.Parallel()
	s := listen(t)
	ready := Message{Ready: true}
	tests := []struct {
		name, path string
		m          Message
		fds        []int
		want       string
	}{
		{name: "relative", path: "x", m: ready, want: "neither a path nor abstract"},
		{name: "vsock", path: "vsock:2:1", m: ready, want: "neither a path nor abstract"},
		{name: "empty", path: s.Path(), want: "empty"},
		{name: "long", path: s.Path(), m: Message{Status: strings.Repeat("x", MaxSize)}, want: "longer than 4096"},
		{name: "many descriptors", path: s.Path(), m: ready, fds: make([]int, MaxFDs+1), want: "more than 253"},
		{name: "nobody", path: s.Path() + ".none", m: ready, want: "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := Send(tt.path, tt.m, tt.fds...); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := Send("", ready); err != nil {
		t.Errorf("without a manager: %v", err)
	}
}

func TestSendAbstract(t *testing.T) {
	t.Parallel()
	name := fmt.Sprintf("@muster-test-%d", os.Getpid())
	conn, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "unixgram", name)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := Send(name, Message{Stopping: true}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, _, err := conn.ReadFrom(b)
	if err != nil || string(b[:n]) != "STOPPING=1" {
		t.Errorf("got %q, error %v", b[:n], err)
	}
}

func TestPIDFDID(t *testing.T) {
	t.Parallel()
	id, err := PIDFDID(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	again, err := PIDFDID(os.Getpid())
	if err != nil || again != id {
		t.Errorf("%d became %d, error %v", id, again, err)
	}
	parent, err := PIDFDID(os.Getppid())
	if err == nil && parent == id && id != 0 {
		t.Errorf("parent has the same id %d", parent)
	}
}

func dial(t *testing.T, s *Socket) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: s.Path()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// awaitEOF waits until no copy of the pipe's write end is open.
func awaitEOF(t *testing.T, r *os.File) {
	t.Helper()
	if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, error %v", n, err)
	}
}
