package nodeipc

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// noListener is a key that no listener has.
const noListener = "none"

// Ping asks a cluster worker for a sign of life: it is given a connection for a listener that it does not have. As soon as it does
// anything at all, it refuses by an Accepted with the number that is returned.
func (c *Conn) Ping() (int64, error) {
	ends, err := socketpair()
	if err != nil {
		return 0, fmt.Errorf("ping node worker: %w", err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	if err := unix.SetNonblock(ends[0], true); err != nil {
		return 0, fmt.Errorf("ping node worker: %w", err)
	}
	return c.NewConn(noListener, ends[0])
}
