//go:build !linux

package sock

import "errors"

// Listens returns errors.ErrUnsupported.
func Listens([]int, []uint64) (bool, error) { return false, errors.ErrUnsupported }
