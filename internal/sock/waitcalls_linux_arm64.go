package sock

import "golang.org/x/sys/unix"

// waitCalls holds the system calls in which a process waits for a socket; this architecture has neither poll nor select.
var waitCalls = map[int]waitKind{
	unix.SYS_ACCEPT:   waitFD,
	unix.SYS_ACCEPT4:  waitFD,
	unix.SYS_RECVFROM: waitFD,
	unix.SYS_RECVMSG:  waitFD,
	unix.SYS_RECVMMSG: waitFD,
	unix.SYS_PPOLL:    waitPoll,
	unix.SYS_PSELECT6: waitSelect,
}
