package notify

import "golang.org/x/sys/unix"

// Monotonic is the time of CLOCK_MONOTONIC in microseconds, for Message.MonotonicUSec.
func Monotonic() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return uint64(now.Nano() / 1000)
}
