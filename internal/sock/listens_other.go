//go:build !linux

package sock

import "errors"

// Listens returns errors.ErrUnsupported.
func Listens([]int) (bool, error) { return false, errors.ErrUnsupported }
