//go:build !amd64 && !arm64

package sock

import "golang.org/x/sys/unix"

// waitCalls holds the system calls in which a process waits for a socket: those that every architecture has.
var waitCalls = map[int]waitKind{
	unix.SYS_ACCEPT4:  waitFD,
	unix.SYS_RECVMSG:  waitFD,
	unix.SYS_RECVMMSG: waitFD,
	unix.SYS_PPOLL:    waitPoll,
	unix.SYS_PSELECT6: waitSelect,
}
