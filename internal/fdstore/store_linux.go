package fdstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/notify"
)

// DefaultMax is how many descriptors a Store keeps at most unless it is told otherwise: enough for a master of a thousand workers.
const DefaultMax = 16384

// Kept is a descriptor with its name.
type Kept struct {
	Name string
	FD   int
}

// Store keeps descriptors for one process after the other. Close it.
type Store struct {
	socket *notify.Socket
	max    int
	heard  func(notify.Message)
	done   chan struct{}

	mu   sync.Mutex
	kept []Kept // the oldest first
}

// New opens a store behind a notify socket at path, which must not be longer than 107 bytes. What else is said on the socket, as READY=1,
// is passed to heard, unless that is nil, on the store's own goroutine.
func New(path string, limit int, heard func(notify.Message)) (*Store, error) {
	socket, err := notify.Listen(path)
	if err != nil {
		return nil, fmt.Errorf("open the descriptor store: %w", err)
	}
	s := &Store{socket: socket, max: limit, heard: heard, done: make(chan struct{})}
	go s.receive() // ends at Close
	return s, nil
}

// Path is the value of NOTIFY_SOCKET for the process.
func (s *Store) Path() string { return s.socket.Path() }

func (s *Store) receive() {
	defer close(s.done)
	for {
		d, err := s.socket.Receive()
		if errors.Is(err, net.ErrClosed) || err != nil {
			return
		}
		if d.AnswerBarrier() {
			continue
		}
		s.take(&d)
		_ = d.Close()
	}
}

// take does what a datagram asks for. Only the user who runs the store, and root, are heard.
func (s *Store) take(d *notify.Datagram) {
	if uid := d.Creds.UID; uid != os.Geteuid() && uid != 0 {
		return
	}
	m := d.Message
	switch {
	case m.FDStore:
		s.keep(name(m), d.FDs)
		d.FDs = nil
	case m.FDStoreRemove:
		s.forget(name(m))
	case s.heard != nil:
		s.heard(m)
	}
}

// name is the name that a message gives; systemd's, where it gives none.
func name(m notify.Message) string {
	if m.FDName == "" {
		return "stored"
	}
	return m.FDName
}

// keep takes the descriptors over. One that is kept under that name already is dropped, as is what is too much.
func (s *Store) keep(name string, fds []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fd := range fds {
		twice := slices.ContainsFunc(s.kept, func(k Kept) bool { return k.Name == name && same(k.FD, fd) })
		if twice || len(s.kept) >= s.max {
			_ = unix.Close(fd)
			continue
		}
		s.kept = append(s.kept, Kept{name, fd})
	}
}

// same tells whether two descriptors are of one open file. Where the kernel does not compare them, they are not.
func same(a, b int) bool {
	const kcmpFile = 0 // KCMP_FILE of linux/kcmp.h
	pid := os.Getpid()
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(pid), uintptr(pid), kcmpFile, uintptr(a), uintptr(b), 0)
	return errno == 0 && r == 0
}

func (s *Store) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = slices.DeleteFunc(s.kept, func(k Kept) bool {
		if k.Name == name {
			_ = unix.Close(k.FD)
		}
		return k.Name == name
	})
}

// Settle waits until everything is kept that was sent before, or until ctx ends.
func (s *Store) Settle(ctx context.Context) error {
	near, far, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = near.Close() }()
	raw, err := far.SyscallConn()
	if err != nil {
		return errors.Join(err, far.Close())
	}
	var sent error
	err = raw.Control(func(fd uintptr) { sent = notify.Send(s.Path(), notify.Message{Barrier: true}, int(fd)) })
	if err := errors.Join(err, sent, far.Close()); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = near.Close() })()
	_, _ = near.Read(make([]byte, 1)) // end of file: the answer
	return ctx.Err()
}

// Kept returns what is kept, the oldest first. The descriptors remain the store's.
func (s *Store) Kept() []Kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kept)
}

// Clear forgets everything.
func (s *Store) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kept {
		_ = unix.Close(k.FD)
	}
	s.kept = nil
}

// Close closes the socket and everything that is kept.
func (s *Store) Close() {
	_ = s.socket.Close()
	<-s.done
	s.Clear()
}
