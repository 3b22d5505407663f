package proc

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// newPidfd puts a pidfd under Go's network poller, so that waiting for an exit
// costs no thread. The file owns fd.
func newPidfd(fd int) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// control runs f with the descriptor while nobody can close it; [os.ErrClosed] if
// somebody has.
func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if raw.Control(func(fd uintptr) { err = f(int(fd)) }) != nil {
		return os.ErrClosed
	}
	return err
}

// await blocks in the poller until ended says so. It is asked first, and then
// each time the pidfd reports something new.
func await(file *os.File, ended func(fd int) bool) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool { return ended(int(fd)) })
}

// pollPidfd gives the events of a pidfd: POLLIN once the process has ended,
// POLLHUP too once it was reaped (Linux 6.9).
func pollPidfd(fd int) int16 {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return fds[0].Revents
		}
	}
}

func ended(fd int) bool { return pollPidfd(fd)&unix.POLLIN != 0 }

// cancelOn makes waiting for file fail as soon as ctx is done. stop must be
// called before the file is used for something else.
func cancelOn(ctx context.Context, file *os.File) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = file.SetDeadline(time.Unix(1, 0)) })
}

// killSure sends SIGKILL to pid if it is a process that check wants, and returns
// its pidfd, which the caller closes; -1 if it did not. The pidfd is opened
// before the check that counts, so that pid cannot change its meaning between the
// two; the one before spares most pidfds.
func killSure(pid int, check func(pid int) bool) (pidfd int) {
	if !check(pid) {
		return -1
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1
	}
	if ended(fd) || !check(pid) || unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) != nil {
		unix.Close(fd)
		return -1
	}
	return fd
}

// killedGrace bounds the wait for a process that was killed, which may be in a
// system call that nothing interrupts.
const killedGrace = time.Second

// awaitEnds waits until the processes have ended, and closes their pidfds.
func awaitEnds(pidfds []int) {
	deadline := time.Now().Add(killedGrace)
	for _, fd := range pidfds {
		awaitEndOf(fd, deadline)
	}
}

// awaitEndOf waits until the process has ended, closes its pidfd, and tells
// whether it has.
func awaitEndOf(pidfd int, deadline time.Time) bool {
	file, err := newPidfd(pidfd)
	if err != nil {
		unix.Close(pidfd)
		return false
	}
	defer file.Close()
	return file.SetReadDeadline(deadline) == nil && await(file, ended) == nil
}

// AwaitEnd waits for a moment until the process has ended, whoever its parent
// is, and tells whether it has.
func AwaitEnd(pid int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	return awaitEndOf(fd, time.Now().Add(killedGrace))
}

// signalGroup signals the process group a pidfd's process leads. Linux 6.9 can
// do it by the pidfd, which is never somebody else's group. Before that the
// group is addressed by number, and only while its leader, even as a zombie,
// holds it.
func signalGroup(pidfd, pid int, sig unix.Signal) error {
	err := unix.PidfdSendSignal(pidfd, sig, nil, unix.PIDFD_SIGNAL_PROCESS_GROUP)
	if err != unix.EINVAL {
		return err
	}
	if err := unix.PidfdSendSignal(pidfd, 0, nil, 0); err != nil {
		return err
	}
	return unix.Kill(-pid, sig)
}
