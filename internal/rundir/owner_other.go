//go:build !linux

package rundir

import "errors"

// Owner is not known here.
func Owner(string) (pid, pidfd int, err error) { return 0, -1, errors.ErrUnsupported }
