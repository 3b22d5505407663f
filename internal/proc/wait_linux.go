package proc

import (
	"errors"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var errNotEnded = errors.New("process has not ended")

// siginfo is the part of the kernel's siginfo_t that waitid(2) fills in. The
// empty array gives pid the alignment of the union it stands in.
type siginfo struct {
	Signo, Errno, Code int32

	_      [0]uintptr
	PID    int32
	UID    uint32
	Status int32
	_      [104]byte
}

// waitid is the system call, again after EINTR; pid is zero if WNOHANG found
// nothing.
func waitid(idType, id, options int) (pid int, err error) {
	info, err := waitidInfo(idType, id, options, nil)
	return int(info.PID), err
}

func waitidInfo(idType, id, options int, usage *unix.Rusage) (siginfo, error) {
	for {
		var info siginfo
		err := unix.Waitid(idType, id, (*unix.Siginfo)(unsafe.Pointer(&info)), options, usage)
		if err != unix.EINTR {
			return info, err
		}
	}
}

// reapChild takes an ended child from the kernel.
func reapChild(idType, id int) (Exit, error) {
	var usage unix.Rusage
	info, err := waitidInfo(idType, id, unix.WEXITED|unix.WNOHANG, &usage)
	if err != nil {
		return Exit{}, err
	}
	if info.PID == 0 {
		return Exit{}, errNotEnded
	}
	exit := info.exit()
	exit.UserTime = time.Duration(usage.Utime.Nano())
	exit.SysTime = time.Duration(usage.Stime.Nano())
	exit.MaxRSS = int64(usage.Maxrss) << 10
	return exit, nil
}

// si_code values of SIGCHLD, sigaction(2).
const (
	cldExited = 1
	cldDumped = 3
)

func (i siginfo) exit() Exit {
	if i.Code == cldExited {
		return Exit{Known: true, Code: int(i.Status)}
	}
	return Exit{Known: true, Signal: unix.Signal(i.Status), Core: i.Code == cldDumped}
}

// pidfdInfo is version 0 of the kernel's struct pidfd_info.
type pidfdInfo struct {
	Mask, CgroupID uint64
	PID            uint32
	_              [10]uint32 // tgid, ppid, and eight user and group ids
	ExitCode       int32
}

// pidfdGetInfo is PIDFD_GET_INFO of linux/pidfd.h for that version:
// _IOWR(0xFF, 11, struct pidfd_info).
const pidfdGetInfo = 3<<30 | unix.PIDFD_INFO_SIZE_VER0<<16 | 0xFF<<8 | 11

// infoExit is the exit of a process that somebody has reaped, as the kernel
// keeps it with the pidfd since Linux 6.15; errNotEnded if it was not reaped yet.
func infoExit(pidfd int) (Exit, error) {
	info := pidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(pidfd), pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
	switch {
	case errno != 0:
		return Exit{}, errno
	case info.Mask&unix.PIDFD_INFO_EXIT == 0:
		return Exit{}, errNotEnded
	}
	return exitOf(syscall.WaitStatus(info.ExitCode)), nil
}
