package proc

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/cgroup"
	"github.com/musterd/muster/internal/stage"
)

// Process is a running process, held by a pidfd. Its owner calls Wait once and
// Close after that; the other methods may be called from any goroutine.
type Process struct {
	// Warnings are the wishes of the document that the system refused.
	Warnings []stage.Report

	pid   int
	token string
	child bool // ours to reap
	leave bool // its tree
	guard *Guard
	group *cgroup.Group // for itself; cleared by Wait
	file  *os.File      // the pidfd; Close closes it
	fd    int           // its number

	mu     sync.Mutex // a group is signalled, or its leader reaped
	reaped bool
}

func newProcess(pid, pidfd int, token string) (*Process, error) {
	file, err := newPidfd(pidfd)
	if err != nil {
		return nil, err
	}
	return &Process{pid: pid, token: token, file: file, fd: pidfd}, nil
}

// Adopt takes over the process that h describes, and h.PIDFD with it unless an
// error is returned. After an execve of the master such a process still is its
// child and Wait tells its exit in full; otherwise somebody else reaps it, and
// Wait tells the exit only where the kernel does.
func Adopt(h Handle) (*Process, error) {
	pidfd, err := h.Open()
	if err != nil {
		return nil, fmt.Errorf("adopt process %d: %w", h.PID, err)
	}
	p, err := newProcess(h.PID, pidfd, h.Token)
	if err != nil {
		if pidfd != h.PIDFD {
			unix.Close(pidfd)
		}
		return nil, fmt.Errorf("adopt process %d: %w", h.PID, err)
	}
	p.leave, p.group = h.Leave, h.Group
	if _, err := waitid(unix.P_PIDFD, pidfd, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT); err == nil {
		p.child = true
		children.adopt(h.PID)
	}
	return p, nil
}

// Open gives the handle's pidfd, or opens one, which is the caller's, if the pid
// still means the process that was born then; else [os.ErrProcessDone].
func (h Handle) Open() (int, error) {
	if h.PIDFD >= 0 {
		return h.PIDFD, nil
	}
	fd, err := unix.PidfdOpen(h.PID, 0)
	if err != nil {
		return -1, gone(err)
	}
	born, err := system.born(h.PID)
	if err == nil && (h.Born == "" || born != h.Born) {
		err = os.ErrProcessDone
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Handle describes the process for [Adopt]. The pidfd in it is borrowed.
func (p *Process) Handle() Handle {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := Handle{PID: p.pid, PIDFD: p.fd, Token: p.token, Leave: p.leave, Group: p.group}
	if !p.reaped {
		h.Born, _ = system.born(p.pid)
	}
	return h
}

// PID is the process's number, for people and for LISTEN_PID; use the methods to
// signal it.
func (p *Process) PID() int { return p.pid }

// PIDFD is borrowed: it is open until Close.
func (p *Process) PIDFD() int { return p.fd }

// Ours reports whether the process is ours to reap.
func (p *Process) Ours() bool { return p.child }

// Signal signals the process itself. It returns [os.ErrProcessDone] once the
// process has ended.
func (p *Process) Signal(sig unix.Signal) error {
	return gone(control(p.file, func(fd int) error {
		if ended(fd) {
			return os.ErrProcessDone
		}
		return unix.PidfdSendSignal(fd, sig, nil, 0)
	}))
}

// SignalGroup signals the process group that the process leads. It returns
// [os.ErrProcessDone] when nobody is left in it, and on Linux before 6.9 also
// when the leader was reaped.
func (p *Process) SignalGroup(sig unix.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return gone(control(p.file, func(fd int) error { return signalGroup(fd, p.pid, sig) }))
}

// Ended reports whether the process has ended, be it reaped or not.
func (p *Process) Ended() bool {
	is := true
	_ = control(p.file, func(fd int) error { is = ended(fd); return nil }) // fails only after Close
	return is
}

func gone(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrClosed) {
		return os.ErrProcessDone
	}
	return err
}

// Wait blocks, without a thread, until the process has ended. Then it kills what
// is left of its group, of its tree and of its control group, unless that is to
// be left alone, reaps it and tells how it ended. To be called once.
func (p *Process) Wait() Exit {
	if err := await(p.file, ended); err != nil {
		return Exit{}
	}
	if !p.leave {
		p.killRest()
	}
	exit := p.reap()
	if p.group != nil && !p.leave {
		exit.Counts, _ = p.group.Counts()
		_ = p.group.Clear() // what resists is cleared by the next master
	}
	if p.guard != nil {
		p.guard.forget(p)
	}
	return exit
}

// killRest runs while the zombie still holds its pid, and so the numbers of its
// group and session.
func (p *Process) killRest() {
	_ = p.SignalGroup(unix.SIGKILL)
	killStrays(allOrphans.next, mark{session: p.pid, token: p.token})
}

func (p *Process) reap() Exit {
	if !p.child {
		return p.lateExit()
	}
	var exit Exit
	err := control(p.file, func(fd int) error {
		return children.reap(p.pid, func() (err error) {
			p.mu.Lock() // inside the table's lock: Hold must not hold up Handle
			defer p.mu.Unlock()
			p.reaped = true
			exit, err = reapChild(unix.P_PIDFD, fd)
			return err
		})
	})
	if err != nil {
		exit, _ = p.infoExit()
	}
	return exit
}

// reapGrace is how long somebody else may take to reap an adopted process
// before its exit counts as unknown.
const reapGrace = time.Second

// lateExit waits until the process's parent has reaped it: only then does the
// kernel keep its exit with the pidfd.
func (p *Process) lateExit() Exit {
	exit, err := p.infoExit()
	if err == nil || !errors.Is(err, errNotEnded) {
		return exit
	}
	_ = p.file.SetReadDeadline(time.Now().Add(reapGrace))
	_ = await(p.file, func(fd int) bool {
		exit, err = infoExit(fd)
		return err == nil || pollPidfd(fd)&unix.POLLHUP != 0
	})
	return exit
}

func (p *Process) infoExit() (exit Exit, err error) {
	err = control(p.file, func(fd int) (err error) {
		exit, err = infoExit(fd)
		return err
	})
	return exit, err
}

// Close closes the pidfd; call it after Wait.
func (p *Process) Close() error { return p.file.Close() }
