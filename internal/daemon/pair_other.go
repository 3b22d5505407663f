//go:build !linux

package daemon

import (
	"errors"
	"os"
)

// socketPair is not needed here: no master can be started in the background.
func socketPair() (near *os.File, far int, err error) { return nil, -1, errors.ErrUnsupported }
