package sock

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
)

// ErrEmpty is returned by Accept when no connection waits.
var ErrEmpty = errors.New("no connection waits")

// ErrClosed is returned by the methods of a Socket after Close or Release.
var ErrClosed = errors.New("socket is closed")

// firstFD is the lowest number for a descriptor that this package makes by duplication: 0, 1 and 2 belong to the standard streams
// even where they are closed.
const firstFD = 3

// Socket is a listening (or, for UDP, bound) socket that the master holds for the life of a slot.
// Its methods may be called by several goroutines, except Close, Release and ClaimPath, which need exclusive use.
type Socket struct {
	fd       int            // owned; -1 after Close or Release
	listener app.Listener   // as asked for, with the port that the kernel gave
	bound    netip.AddrPort // invalid for a unix socket
	file     *fileID        // the unix path that Close unlinks; nil when this Socket did not make it
}

// Queue is the accept queue of a listening socket.
type Queue struct {
	Len int // connections that wait to be accepted
	Max int // the backlog in force: what the last listen(2) asked for, capped by net.core.somaxconn
}

// FD returns the descriptor, which stays owned by the Socket, or -1 after Close or Release.
func (s *Socket) FD() int { return s.fd }

// Dup returns a new close-on-exec descriptor of the same socket; the caller closes it.
func (s *Socket) Dup() (int, error) {
	if s.fd < 0 {
		return -1, s.fail("duplicate", ErrClosed)
	}
	fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, firstFD)
	if err != nil {
		return -1, s.fail("duplicate", err)
	}
	return fd, nil
}

// Close closes the descriptor and unlinks the path of a unix socket that this Socket made, unless another file has taken its place.
// Connections that wait are reset once the last duplicate is closed. A second Close does nothing.
func (s *Socket) Close() error {
	if s.fd < 0 {
		return nil
	}
	// The open socket pins the inode of its path, so the number cannot have been reused yet: unlink first.
	err := s.unlinkPath()
	if cerr := unix.Close(s.fd); err == nil && cerr != nil {
		err = s.fail("close", cerr)
	}
	s.fd = -1
	return err
}

// Release forgets the descriptor without closing it or unlinking its path, for a hand-over by execve. It returns the descriptor.
func (s *Socket) Release() int {
	fd := s.fd
	s.fd, s.file = -1, nil
	return fd
}

// Listener returns the listener that was asked for, with the port that the kernel gave.
func (s *Socket) Listener() app.Listener { return s.listener }

// Network returns the network of the listener, as "tcp" or "unix".
func (s *Socket) Network() string { return s.listener.Network }

// Addr returns the bound address as "host:port" (IPv6 in brackets), or the path of a unix socket.
func (s *Socket) Addr() string {
	if s.bound.IsValid() {
		return s.bound.String()
	}
	return s.listener.Path
}

// Port returns the bound port, or 0 for a unix socket.
func (s *Socket) Port() int { return int(s.bound.Port()) }

// Inode returns the number by which the kernel names this socket, as in "socket:[N]" under /proc/PID/fd.
func (s *Socket) Inode() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(s.fd, &st); err != nil {
		return 0, s.fail("stat", err)
	}
	return st.Ino, nil
}

// Queue returns the length and the limit of the accept queue. It is errors.ErrUnsupported where the kernel does not tell:
// for UDP, and outside Linux.
func (s *Socket) Queue() (Queue, error) {
	q, err := s.queue()
	if err != nil {
		return Queue{}, s.fail("read the queue of", err)
	}
	return q, nil
}

// Accept takes the connection that has waited longest, close-on-exec and non-blocking; the caller closes it. It never blocks:
// it is ErrEmpty when none waits, and errors.ErrUnsupported while the description is blocking, because a connection
// that poll(2) showed may be gone by the time of accept(2). A worker may have changed that flag, so it is asked each time.
func (s *Socket) Accept() (int, error) {
	if s.fd < 0 {
		return -1, s.fail("accept from", ErrClosed)
	}
	if err := s.canAccept(); err != nil {
		return -1, s.fail("accept from", err)
	}
	fd, err := acceptNext(s.fd)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return -1, ErrEmpty
	case err != nil:
		return -1, s.fail("accept from", err)
	}
	return fd, nil
}

func (s *Socket) canAccept() error {
	if isUDP(s.listener.Network) {
		return errors.ErrUnsupported
	}
	flags, err := unix.FcntlInt(uintptr(s.fd), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	if flags&unix.O_NONBLOCK == 0 {
		return fmt.Errorf("the socket is blocking: %w", errors.ErrUnsupported)
	}
	return nil
}

// acceptNext skips what a signal or an already aborted connection leaves in the way.
func acceptNext(fd int) (int, error) {
	for {
		conn, err := accept(fd)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) {
			continue
		}
		return conn, err
	}
}

// learnAddr asks the kernel where the socket is bound.
func (s *Socket) learnAddr() error {
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return s.fail("name", err)
	}
	if bound, ok := addrPort(sa); ok {
		s.bound = bound
		s.listener.Port = int(bound.Port())
	}
	return nil
}

func (s *Socket) fail(verb string, err error) error {
	return fmt.Errorf("%s socket %s: %w", verb, describe(s.listener), err)
}
