//go:build !linux

package stage

import (
	"errors"
	"fmt"
)

// Main returns at once: there is no exec stage on this system.
func Main() {}

// Resource is not available on this system.
func Resource(name string) (int, error) {
	return 0, fmt.Errorf("resource limit %q: %w", name, errors.ErrUnsupported)
}
