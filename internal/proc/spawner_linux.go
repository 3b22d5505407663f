package proc

import (
	"log/slog"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Spawner starts processes on one thread that lives as long as it does: the
// kernel sends parent-death signals when the *thread* that started a process
// ends. That is the main thread where [Main] serves it.
type Spawner struct {
	log    *slog.Logger
	thread *thread
}

// NewSpawner makes a Spawner; close it when the last process is gone.
func NewSpawner(log *slog.Logger) *Spawner {
	return &Spawner{log: log, thread: newThread()}
}

// Close ends the Spawner's thread, unless it is the main thread. Processes with
// a parent-death signal get it.
func (s *Spawner) Close() { s.thread.close() }

// fork starts exe with the given descriptors, in order, in a session of its own.
func (s *Spawner) fork(exe string, argv, env []string, files []uintptr, token string) (*Process, error) {
	pidfd := -1
	attr := &syscall.ProcAttr{
		Env:   env,
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd},
	}
	var pid int
	var err error
	s.thread.do(func() {
		pid, _, err = children.start(func() (int, error) { return syscall.ForkExec(exe, argv, attr) })
	})
	if err != nil {
		return nil, err
	}
	p, err := newProcess(pid, pidfd, token)
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		_ = children.reap(pid, func() error { _, err := waitid(unix.P_PID, pid, unix.WEXITED); return err })
		return nil, err
	}
	p.child = true
	return p, nil
}

// handover are the signals that must not be lost, nor kill, between an execve
// and the new program's signal.Notify.
var handover = []unix.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGTTIN, unix.SIGTTOU,
}

// Exec replaces this process by another program, in place: same pid, same
// children, and the descriptors in files stay open under their numbers. It runs
// on the Spawner's thread, so no parent-death signal fires. It returns only if
// it failed, and then everything is as before.
//
// The signals a master acts on are blocked over the execve and stay pending: Go
// delivers them once the new program calls signal.Notify. Processes that it
// starts by os/exec would inherit the block; those of a Spawner do not.
func (s *Spawner) Exec(path string, argv, env []string, files []int) error {
	var err error
	s.thread.do(func() {
		// No fork elsewhere may inherit what is about to lose FD_CLOEXEC.
		syscall.ForkLock.Lock()
		defer syscall.ForkLock.Unlock()
		var before unix.Sigset_t
		if err = unix.PthreadSigmask(unix.SIG_BLOCK, sigset(handover), &before); err != nil {
			return
		}
		defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) }()
		defer setCloseOnExec(files, unix.FD_CLOEXEC)
		setCloseOnExec(files, 0)
		err = syscall.Exec(path, argv, env)
	})
	return &StartError{Op: "exec", Path: path, Err: err}
}

func setCloseOnExec(files []int, flag int) {
	for _, fd := range files {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag)
	}
}

func sigset(sigs []unix.Signal) *unix.Sigset_t {
	var set unix.Sigset_t
	bits := 8 * int(unsafe.Sizeof(set.Val[0]))
	for _, sig := range sigs {
		set.Val[(int(sig)-1)/bits] |= 1 << ((int(sig) - 1) % bits)
	}
	return &set
}
