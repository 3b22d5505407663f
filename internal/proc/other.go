//go:build !linux

package proc

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/stage"
)

// Spawner starts processes by a plain fork and exec on this system: of a
// document it honours Path, Argv, Env, Dir and Stdin.
type Spawner struct{}

// NewSpawner makes a Spawner.
func NewSpawner(*slog.Logger) *Spawner { return &Spawner{} }

// Close does nothing on this system.
func (s *Spawner) Close() {}

// Start starts a process as the leader of a session of its own.
func (s *Spawner) Start(_ context.Context, spec Spec) (*Process, error) {
	path, err := exec.LookPath(program(spec.Doc))
	if err != nil {
		return nil, &StartError{Op: "find program", Path: program(spec.Doc), Err: err}
	}
	files, err := descriptors(spec)
	if err != nil {
		return nil, &StartError{Op: "prepare", Path: path, Err: err}
	}
	defer files.close()
	pid, err := syscall.ForkExec(path, spec.Doc.Argv, &syscall.ProcAttr{
		Dir:   spec.Doc.Dir,
		Env:   spec.Doc.Env,
		Files: files.all,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, &StartError{Op: stage.OpExec, Path: path, Err: err}
	}
	return &Process{pid: pid}, nil
}

func program(doc stage.Doc) string {
	if doc.Path == "" && len(doc.Argv) > 0 {
		return doc.Argv[0]
	}
	return doc.Path
}

// Sessions is not known on this system.
func Sessions() map[int]Use { return nil }

// Environ is not available on this system.
func Environ(int) ([]string, error) { return nil, errors.ErrUnsupported }

// layout is the descriptors of a new process, and those of them opened for it.
type layout struct {
	all    []uintptr
	opened []*os.File
}

func descriptors(spec Spec) (layout, error) {
	var l layout
	stdin, err := l.open(spec.Doc.Stdin)
	if err != nil {
		return l, err
	}
	for _, fd := range slices.Concat([]int{stdin, spec.Stdout, spec.Stderr}, spec.Files) {
		if fd < 0 {
			if fd, err = l.open(os.DevNull); err != nil {
				l.close()
				return l, err
			}
		}
		l.all = append(l.all, uintptr(fd))
	}
	return l, nil
}

func (l *layout) open(path string) (int, error) {
	if path == "" {
		path = os.DevNull
	}
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	l.opened = append(l.opened, os.NewFile(uintptr(fd), path))
	return fd, nil
}

func (l *layout) close() {
	for _, f := range l.opened {
		f.Close()
	}
}

// Exec is not available on this system.
func (s *Spawner) Exec(path string, _, _ []string, _ []int) error {
	return &StartError{Op: "exec", Path: path, Err: errors.ErrUnsupported}
}

// Process is a running process, known by its pid.
type Process struct {
	Warnings []stage.Report // always empty on this system

	pid    int
	mu     sync.Mutex // a signal is sent, or the process reaped
	reaped bool
}

// Adopt is not available on this system.
func Adopt(Handle) (*Process, error) { return nil, errors.ErrUnsupported }

// Ended is always true.
func (p *Process) Ended() bool { return true }

// Open is not available on this system.
func (h Handle) Open() (int, error) { return -1, errors.ErrUnsupported }

// Handle describes the process.
func (p *Process) Handle() Handle { return Handle{PID: p.pid, PIDFD: -1} }

// PID is the process's number.
func (p *Process) PID() int { return p.pid }

// PIDFD is -1: there are no pidfds on this system.
func (p *Process) PIDFD() int { return -1 }

// Ours reports that the process is ours to reap.
func (p *Process) Ours() bool { return true }

// Signal signals the process itself, [os.ErrProcessDone] once it was reaped.
func (p *Process) Signal(sig unix.Signal) error { return p.kill(p.pid, sig) }

// SignalGroup signals the process's group, [os.ErrProcessDone] once its leader
// was reaped.
func (p *Process) SignalGroup(sig unix.Signal) error { return p.kill(-p.pid, sig) }

func (p *Process) kill(pid int, sig unix.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return os.ErrProcessDone
	}
	return unix.Kill(pid, sig)
}

// Wait blocks until the process has ended, and kills what is left of its group.
func (p *Process) Wait() Exit {
	var status syscall.WaitStatus
	var usage syscall.Rusage
	for {
		_, err := syscall.Wait4(p.pid, &status, 0, &usage)
		if err == nil {
			break
		}
		if err != syscall.EINTR {
			return Exit{}
		}
	}
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	_ = unix.Kill(-p.pid, unix.SIGKILL)
	exit := exitOf(status)
	exit.UserTime = time.Duration(usage.Utime.Nano())
	exit.SysTime = time.Duration(usage.Stime.Nano())
	exit.MaxRSS = usage.Maxrss
	return exit
}

// Close does nothing on this system.
func (p *Process) Close() error { return nil }

// Tree is pid alone: this system's process table is not read.
func Tree(pid int) []int { return []int{pid} }

// BecomeSubreaper is not available on this system.
func BecomeSubreaper() error { return errors.ErrUnsupported }

// Own runs start; nothing reaps strangers on this system.
func Own(start func() (pid int, err error)) (release func(), err error) {
	_, err = start()
	return func() {}, err
}

// Reaper does nothing on this system.
type Reaper struct{}

// NewReaper makes a Reaper.
func NewReaper(*slog.Logger) *Reaper { return &Reaper{} }

// Close does nothing on this system.
func (r *Reaper) Close() {}

// KillStrangers is not available on this system.
func KillStrangers(context.Context) error { return errors.ErrUnsupported }

// Guard is not available on this system.
type Guard struct{}

// GuardHandle is what [ResumeGuard] takes.
type GuardHandle struct {
	Process Handle `json:"process"`
	Conn    int    `json:"conn"`
}

// GuardMain returns at once: there is no guard on this system.
func GuardMain() {}

// NewGuard is not available on this system.
func NewGuard(*Spawner) (*Guard, error) { return nil, errors.ErrUnsupported }

// ResumeGuard is not available on this system.
func ResumeGuard(*Spawner, GuardHandle) (*Guard, error) { return nil, errors.ErrUnsupported }

// Handle is empty.
func (g *Guard) Handle() GuardHandle { return GuardHandle{} }

// PID is zero.
func (g *Guard) PID() int { return 0 }

// Add does nothing.
func (g *Guard) Add(*Process) {}

// CanStart is true.
func CanStart() error { return nil }

// ClearAtEnd is not available on this system.
func (g *Guard) ClearAtEnd(string) error { return errors.ErrUnsupported }

// RemoveAtEnd is not available on this system.
func (g *Guard) RemoveAtEnd(string) error { return errors.ErrUnsupported }

// Close does nothing.
func (g *Guard) Close() {}

// SetTitle is not available on this system.
func SetTitle(string) error { return errors.ErrUnsupported }

// Resident is zero here.
func Resident([]int) int64 { return 0 }

// Descriptors is zero here.
func Descriptors([]int) int64 { return 0 }

// Proportional is not known here.
func Proportional([]int) (int64, bool) { return 0, false }

// KillByVariable does nothing on this system.
func KillByVariable(string, string) {}

// Pin is not available on this system.
func Pin(int, []int) error { return errors.ErrUnsupported }

// AwaitEnd is not available on this system.
func AwaitEnd(int) bool { return false }

// Observe is not available on this system.
func Observe([]int) (Activity, error) { return Activity{}, errors.ErrUnsupported }

// Used is not available on this system.
func Used(int) (byte, time.Duration, error) { return 0, 0, errors.ErrUnsupported }
