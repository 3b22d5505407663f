package stage

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// lastSignal is the highest signal of Linux (SIGRTMAX).
const lastSignal = 64

// kernelSigaction is at least as large as the kernel's struct sigaction on every
// architecture. All zero is SIG_DFL, no flags and an empty mask in each layout.
type kernelSigaction [8]uintptr

// signals gives the program what a program expects: every signal at its default
// action and none blocked. execve resets handlers, but keeps what is ignored
// (nohup, SIGPIPE under many daemons) and what is blocked.
func (s *stage) signals() error {
	var byDefault kernelSigaction
	for sig := uintptr(1); sig <= lastSignal; sig++ {
		if unix.Signal(sig) == unix.SIGKILL || unix.Signal(sig) == unix.SIGSTOP {
			continue
		}
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&byDefault)), 0, lastSignal/8, 0, 0)
		if errno != 0 {
			return fail("reset signal", unix.SignalName(unix.Signal(sig)), errno)
		}
	}
	return fail("unblock", "signals", unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), nil))
}
