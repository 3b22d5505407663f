package sock

import (
	"encoding/binary"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/testutil"
)

// waiting asks for one process; Waiting has no error on Linux.
func waiting(t *testing.T, s *Socket, pid int) bool {
	t.Helper()
	inode, err := s.Inode()
	check(t, err)
	got, err := Waiting(inode, []int{1 << 30, pid}) // the first is no process
	check(t, err)
	return got
}

func TestGoProcessWaits(t *testing.T) {
	t.Parallel()
	s, other := openShared(t, local(), Options{}), openShared(t, local(), Options{})
	p := startRole(t, "serve", s)
	if p.line() != "ready" {
		t.Fatal("not ready")
	}
	eventually(t, "the process waits", func() bool { return waiting(t, s, p.pid()) })
	if waiting(t, other, p.pid()) {
		t.Error("the process waits on a socket that it does not have")
	}
}

func TestHolderDoesNotWait(t *testing.T) {
	t.Parallel()
	s := openShared(t, local(), Options{})
	p := startRole(t, "hold", s)
	if p.line() != "ready" {
		t.Fatal("not ready")
	}
	if waiting(t, s, p.pid()) || waiting(t, s, os.Getpid()) {
		t.Error("a process that only holds the socket is taken for one that waits")
	}
}

// prelude is what all programs in Python begin with. Each prints a line before it waits.
const prelude = `
import select, socket, sys, threading
s = socket.socket(fileno=3)
def ready(): print("ready", flush=True)
def rest(): sys.stdin.read()
`

func TestPythonWaits(t *testing.T) {
	t.Parallel()
	python := testutil.Need(t, "python3")
	tests := []struct {
		name, program string
		network       string
		want          bool
	}{
		{"accept", `ready(); s.accept()`, "tcp", true},
		{"select", `ready(); select.select([0, s], [], [])`, "tcp", true},
		{"poll", `p = select.poll(); p.register(0); p.register(s, select.POLLIN); ready(); p.poll()`, "tcp", true},
		{"epoll", `p = select.epoll(); p.register(s, select.EPOLLIN); ready(); p.poll()`, "tcp", true},
		{"thread", `threading.Thread(target=s.accept, daemon=True).start(); ready(); rest()`, "tcp", true},
		{"unix accept", `ready(); s.accept()`, "unix", true},
		{"recv", `ready(); s.recv(1)`, "udp", true},
		{"nothing", `ready(); rest()`, "tcp", false},
		{"select on others", `ready(); select.select([0], [s], [])`, "tcp", false},
		{"poll without read", `p = select.poll(); p.register(0); p.register(s, 0); ready(); p.poll()`, "tcp", false},
		{"epoll unregistered", `p = select.epoll(); p.register(s, 1); p.unregister(s); ready(); rest()`, "tcp", false},
		{"epoll without read", `p = select.epoll(); p.register(s, 0); ready(); rest()`, "tcp", false},
		{"epoll closed", `p = select.epoll(); p.register(s, 1); s.close(); ready(); rest()`, "tcp", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := app.Listener{Network: tt.network, Host: "127.0.0.1"}
			if tt.network == "unix" {
				l = unixAt(socketPath(t))
			}
			s := openShared(t, l, Options{})
			p := start(t, exec.Command(python, "-IS", "-c", prelude+tt.program), s)
			if p.line() != "ready" {
				t.Fatal("not ready")
			}
			if tt.want {
				eventually(t, "the process waits", func() bool { return waiting(t, s, p.pid()) })
				return
			}
			eventually(t, "the process blocks", func() bool { return blocked(p.pid()) })
			if waiting(t, s, p.pid()) {
				t.Error("taken for one that waits")
			}
		})
	}
}

// blocked tells whether the first thread of the process sits in a system call.
func blocked(pid int) bool {
	text, err := os.ReadFile(procPath(pid, "syscall"))
	if err != nil {
		return false
	}
	_, _, ok := parseSyscall(string(text))
	return ok
}

func TestParseSyscall(t *testing.T) {
	t.Parallel()
	nr, args, ok := parseSyscall("270 0x5 0x7ffd0 0x0 0x0 0x0 0xffffffffffffffff 0x7ffc 0x7f2d\n")
	if !ok || nr != 270 || args != [6]uint64{5, 0x7ffd0, 0, 0, 0, 1<<64 - 1} {
		t.Errorf("got %d %v %v", nr, args, ok)
	}
	for _, text := range []string{"", "running\n", "-1 0x7ffc 0x7f2d\n", "x 0 0 0 0 0 0", "1 0 0 0 0 0 y"} {
		if _, _, ok := parseSyscall(text); ok {
			t.Errorf("%q was read as a system call", text)
		}
	}
}

func TestPollSets(t *testing.T) {
	t.Parallel()
	held := map[int]bool{70: true}
	set := make([]byte, 16)
	binary.NativeEndian.PutUint64(set[8:], 1<<6)
	if !selects(set, held) || selects(set[:8], held) || selects(set, map[int]bool{6: true}) {
		t.Error("select: wrong member")
	}
	entry := binary.NativeEndian.AppendUint32(nil, 70)
	entry = binary.NativeEndian.AppendUint16(entry, unix.POLLIN)
	entry = binary.NativeEndian.AppendUint16(entry, 0)
	if !polls(entry, held) || polls(entry[:7], held) || polls(entry, map[int]bool{7: true}) {
		t.Error("poll: wrong member")
	}
}

func FuzzParseDiag(f *testing.F) {
	f.Add([]byte{})
	answer := make([]byte, unix.NLMSG_HDRLEN+diagMsgLen)
	answer = binary.NativeEndian.AppendUint16(answer, 12)
	answer = binary.NativeEndian.AppendUint16(answer, diagRQLen)
	answer = binary.NativeEndian.AppendUint32(answer, 3)
	answer = binary.NativeEndian.AppendUint32(answer, 511)
	if q, err := parseDiag(answer); err != nil || q != (Queue{Len: 3, Max: 511}) {
		f.Fatalf("got %+v, %v", q, err)
	}
	f.Add(answer)
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = parseDiag(b) // must end, and not panic
	})
}
