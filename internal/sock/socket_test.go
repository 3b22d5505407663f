package sock

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/testutil"
)

// The queue is as long as the connections that nobody has accepted, whatever the order of events.
func TestQueueIsWhatNobodyAccepted(t *testing.T) {
	t.Parallel()
	for _, l := range []app.Listener{local(), unixAt(socketPath(t))} {
		t.Run(l.Network, func(t *testing.T) {
			t.Parallel()
			s := openShared(t, l, Options{Nonblock: true})
			waiting := 0
			rapid.Check(t, func(rt *rapid.T) {
				rt.Repeat(map[string]func(*rapid.T){
					"connect": func(rt *rapid.T) {
						if waiting > 100 {
							rt.Skip("long enough")
						}
						dial(t, s)
						waiting++
					},
					"accept": func(rt *rapid.T) {
						fd, err := s.Accept()
						if (waiting == 0) != errors.Is(err, ErrEmpty) {
							rt.Fatalf("accept: %v, with %d waiting", err, waiting)
						}
						if err == nil {
							closeFD(t, fd)
							waiting--
						}
					},
					"": func(*rapid.T) {
						eventually(t, "the queue is as long as expected", func() bool { return queueLen(t, s) == waiting })
					},
				})
			})
		})
	}
}

func TestAcceptedConnection(t *testing.T) {
	t.Parallel()
	s := openShared(t, local(), Options{Nonblock: true})
	if _, err := s.Accept(); !errors.Is(err, ErrEmpty) {
		t.Fatalf("accept from an empty queue: %v", err)
	}
	client := dial(t, s)
	fd, err := s.Accept()
	check(t, err)
	if !nonblocking(t, fd) || !closesOnExec(t, fd) {
		t.Errorf("non-blocking %v, close-on-exec %v, want both", nonblocking(t, fd), closesOnExec(t, fd))
	}
	_, err = unix.Write(fd, []byte("x"))
	check(t, err)
	closeFD(t, fd)
	if got, err := io.ReadAll(client); err != nil || string(got) != "x" {
		t.Errorf("client read %q, %v", got, err)
	}
}

// A worker may flip the flag on the shared description; Accept asks each time.
func TestAcceptNeverBlocks(t *testing.T) {
	t.Parallel()
	s := openShared(t, local(), Options{Nonblock: true})
	check(t, unix.SetNonblock(s.FD(), false))
	if _, err := s.Accept(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("accept on a blocking socket: %v", err)
	}
	udp := openShared(t, app.Listener{Network: "udp", Host: "127.0.0.1"}, Options{Nonblock: true})
	if _, err := udp.Accept(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("accept on UDP: %v", err)
	}
	if _, err := udp.Queue(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("queue of UDP: %v", err)
	}
}

// What waits in a slot when its occupant dies is served by the next one.
func TestQueueOutlivesTheWorker(t *testing.T) {
	t.Parallel()
	const connections = 23
	slots := openSlots(t, local(), 2, Options{})
	first := startRole(t, "hold", slots[0])
	second := startRole(t, "hold", slots[1])
	if first.line() != "ready" || second.line() != "ready" {
		t.Fatal("workers did not start")
	}
	var clients []net.Conn
	for range connections {
		clients = append(clients, dial(t, slots[0]))
	}
	first.kill()
	second.kill()
	for _, s := range slots {
		startRole(t, "serve", s)
	}
	for i, c := range clients {
		if line, err := bufio.NewReader(c).ReadString('\n'); line != "served\n" {
			t.Errorf("connection %d: read %q, %v", i, line, err)
		}
	}
}

func TestClosedSocket(t *testing.T) {
	t.Parallel()
	s, err := OpenShared(local(), Options{})
	check(t, err)
	check(t, s.Close())
	check(t, s.Close())
	if s.FD() != -1 {
		t.Errorf("descriptor %d, want -1", s.FD())
	}
	if _, err := s.Dup(); !errors.Is(err, ErrClosed) {
		t.Errorf("duplicate: %v", err)
	}
	if _, err := s.Accept(); !errors.Is(err, ErrClosed) {
		t.Errorf("accept: %v", err)
	}
	if _, err := s.Queue(); !errors.Is(err, ErrClosed) {
		t.Errorf("queue: %v", err)
	}
	if _, err := s.Inode(); err == nil {
		t.Error("inode of a closed socket")
	}
}

func TestReleaseLeavesEverything(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	s, err := OpenShared(unixAt(path), Options{})
	check(t, err)
	fd := s.Release()
	check(t, s.Close())
	defer closeFD(t, fd)
	dialTo(t, "unix", path)
}

// Not parallel: it counts the descriptors of the process.
func TestDupIsTheSameSocket(t *testing.T) {
	testutil.CheckLeaks(t)
	s := openShared(t, local(), Options{})
	fd, err := s.Dup()
	check(t, err)
	defer closeFD(t, fd)
	var a, b unix.Stat_t
	check(t, unix.Fstat(s.FD(), &a))
	check(t, unix.Fstat(fd, &b))
	if a.Ino != b.Ino || fd == s.FD() || !closesOnExec(t, fd) {
		t.Errorf("descriptor %d of inode %d, want a close-on-exec duplicate of %d", fd, b.Ino, a.Ino)
	}
	if inode, err := s.Inode(); err != nil || inode != a.Ino {
		t.Errorf("inode %d, %v; want %d", inode, err, a.Ino)
	}
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	tcp := openShared(t, local(), Options{})
	udp := openShared(t, app.Listener{Network: "udp", Host: "127.0.0.1"}, Options{})
	path := socketPath(t)
	uds := openShared(t, unixAt(path), Options{})
	bound, err := bind(local(), Options{}, false)
	check(t, err)
	t.Cleanup(func() { check(t, bound.Close()) })
	file, err := os.Open(os.DevNull)
	check(t, err)
	t.Cleanup(func() { check(t, file.Close()) })
	tests := []struct {
		name string
		fd   int
		l    app.Listener
		ok   bool
	}{
		{"tcp", tcp.FD(), tcp.Listener(), true},
		{"any port", tcp.FD(), app.Listener{Network: "tcp"}, true},
		{"tcp4", tcp.FD(), app.Listener{Network: "tcp4"}, true},
		{"udp", udp.FD(), udp.Listener(), true},
		{"unix", uds.FD(), unixAt(path), true},
		{"unix, any path", uds.FD(), unixAt(""), true},
		{"other port", tcp.FD(), app.Listener{Network: "tcp", Port: 1}, false},
		{"other host", tcp.FD(), app.Listener{Network: "tcp", Host: "127.0.0.2"}, false},
		{"other family", tcp.FD(), app.Listener{Network: "tcp6"}, false},
		{"other path", uds.FD(), unixAt("/other"), false},
		{"tcp for udp", tcp.FD(), app.Listener{Network: "udp"}, false},
		{"udp for tcp", udp.FD(), app.Listener{Network: "tcp"}, false},
		{"tcp for unix", tcp.FD(), unixAt(""), false},
		{"unix for tcp", uds.FD(), app.Listener{Network: "tcp"}, false},
		{"not listening", bound.FD(), bound.Listener(), false},
		{"not a socket", int(file.Fd()), app.Listener{Network: "tcp"}, false},
		{"not open", 1 << 20, app.Listener{Network: "tcp"}, false},
	}
	for _, tt := range tests {
		s, err := Adopt(tt.fd, tt.l)
		if (err == nil) != tt.ok {
			t.Errorf("%s: error %v, want success %v", tt.name, err, tt.ok)
		}
		if err == nil {
			if s.FD() != tt.fd || s.Listener().Port != s.Port() || s.OwnsPath() {
				t.Errorf("%s: adopted %+v", tt.name, s)
			}
			s.Release()
		}
	}
}

func TestAdoptMarksCloseOnExec(t *testing.T) {
	t.Parallel()
	s := openShared(t, local(), Options{})
	fd, err := unix.FcntlInt(uintptr(s.FD()), unix.F_DUPFD, firstFD) // without close-on-exec
	check(t, err)
	adopted, err := Adopt(fd, s.Listener())
	check(t, err)
	defer func() { check(t, adopted.Close()) }()
	if !closesOnExec(t, fd) || adopted.Addr() != s.Addr() {
		t.Errorf("close-on-exec %v, address %s", closesOnExec(t, fd), adopted.Addr())
	}
}
