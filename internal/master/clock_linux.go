package master

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// clock tells when somebody sets the clock, and when the computer wakes: the kernel cancels a timer of timerfd_create(2) then that asked for it by
// TFD_TIMER_CANCEL_ON_SET.
type clock struct {
	file *os.File // closed by Close, which ends the watch
}

// watchClock calls changed, from a goroutine that ends with Close, each time.
func watchClock(changed func()) (*clock, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	if err := armClock(fd); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	c := &clock{file: os.NewFile(uintptr(fd), "clock")}
	go c.watch(changed)
	return c, nil
}

// armClock sets the timer to a time that never comes.
func armClock(fd int) error {
	never := unix.ItimerSpec{Value: unix.Timespec{Sec: math.MaxInt32}}
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil); err != nil {
		return fmt.Errorf("set a timer: %w", err)
	}
	return nil
}

func (c *clock) watch(changed func()) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return
	}
	var expirations [8]byte
	for {
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			_, failed = unix.Read(int(fd), expirations[:])
			if errors.Is(failed, unix.ECANCELED) {
				failed = armClock(int(fd))
			}
			return !errors.Is(failed, unix.EAGAIN)
		})
		if err != nil || failed != nil {
			return
		}
		changed()
	}
}

// Close ends the watch. It may be called on nil.
func (c *clock) Close() {
	if c != nil {
		_ = c.file.Close()
	}
}
