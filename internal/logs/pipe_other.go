//go:build !linux

package logs

import (
	"errors"
	"os"
)

// Pipe returns errors.ErrUnsupported.
func Pipe() (r *os.File, w int, err error) { return nil, -1, errors.ErrUnsupported }
