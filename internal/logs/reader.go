package logs

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reader is the read end of a worker's stream. It is non-blocking.
//
// Who waits for a pipe by epoll, as Go does, is woken by every single write to it, even if nobody has read what was there (Linux keeps it so for
// programs that count on it): that costs both sides more than the line itself. So the file is in the netpoller only while its pump waits for a
// worker that is quiet; in a flood the pump looks by itself, at its pace.
type Reader struct {
	file *os.File // not in the netpoller

	mu     sync.Mutex
	waiter *os.File // a duplicate in the netpoller; nil in a flood
	closed bool
}

// NewReader returns a reader of a non-blocking descriptor, which becomes its own. Nobody may read meanwhile.
func NewReader(fd int) *Reader {
	_ = unix.SetNonblock(fd, false) // os.NewFile would take it into the netpoller
	file := os.NewFile(uintptr(fd), "worker output")
	_ = unix.SetNonblock(fd, true)
	return &Reader{file: file}
}

// Close ends the Pump that reads. It may be called again, and on nil.
func (r *Reader) Close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.waiter != nil {
		_ = r.waiter.Close()
	}
	return r.file.Close()
}

// SyscallConn is for what has to be done with the descriptor besides reading.
func (r *Reader) SyscallConn() (syscall.RawConn, error) { return r.file.SyscallConn() }

// poller returns the reader as it is in the netpoller.
func (r *Reader) poller() (syscall.RawConn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, os.ErrClosed
	}
	if r.waiter == nil {
		fd, err := r.duplicate()
		if err != nil {
			return nil, err
		}
		r.waiter = os.NewFile(uintptr(fd), "worker output")
	}
	return r.waiter.SyscallConn()
}

func (r *Reader) duplicate() (fd int, err error) {
	raw, err := r.file.SyscallConn()
	if err != nil {
		return -1, err
	}
	bad := raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(bad, err)
}

// leavePoller ends what poller began.
func (r *Reader) leavePoller() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiter != nil {
		_ = r.waiter.Close()
		r.waiter = nil
	}
}

// now reads what is there: EAGAIN if that is nothing.
func (r *Reader) now(b []byte) (n int, err error) {
	raw, err := r.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	if bad := raw.Control(func(fd uintptr) { n, err = readRetry(int(fd), b) }); bad != nil {
		return 0, os.ErrClosed
	}
	return n, err
}

// failure is the reason why a wait ended.
func (r *Reader) failure(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return os.ErrClosed
	}
	return err
}
