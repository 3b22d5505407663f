package master

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/testutil"
)

// TestClockThatIsSet sets the clock forward by a nanosecond.
func TestClockThatIsSet(t *testing.T) {
	t.Parallel()
	told := make(chan struct{}, 8)
	c, err := watchClock(func() { told <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := testutil.Context(t)
	for range 3 {
		step := unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Usec: 1}}
		if _, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, &step); errors.Is(err, unix.EPERM) {
			t.Skip("this user may not set the clock")
		} else if err != nil {
			t.Fatal(err)
		}
		select {
		case <-told:
		case <-ctx.Done():
			t.Fatal("nothing was told")
		}
	}
}
