//go:build !linux

package master

import "errors"

// clock tells nothing on this system: the master looks at the time each minute.
type clock struct{}

func watchClock(func()) (*clock, error) { return nil, errors.ErrUnsupported }

// Close does nothing.
func (c *clock) Close() {}
