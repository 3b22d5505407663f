package demo

import (
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// one freeze at a time: each restores the number of processors that it found.
var freezing sync.Mutex

// freeze stops the whole process for d, as a Node worker stops that computes or waits synchronously: no accept, no
// handler, no timer, no message of the master. It leaves Go one processor and holds that in a system call which the
// scheduler does not know of. The process uses no CPU time meanwhile, so to its master it is stuck, not computing.
func freeze(d time.Duration) {
	freezing.Lock()
	defer freezing.Unlock()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	hold(syscall.NsecToTimespec(int64(d)))
}

// hold calls nothing at which the scheduler could take the processor away. The kernel shortens left at each interruption.
//
//go:nosplit
func hold(left syscall.Timespec) {
	for {
		_, _, errno := syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&left)), uintptr(unsafe.Pointer(&left)), 0)
		if errno != syscall.EINTR {
			return
		}
	}
}
