//go:build !linux

package sock

import "errors"

// ErrSteered is returned by NewSteering on Linux.
var ErrSteered = errors.New("sockets are still in the map of an earlier steering")

// SteerOptions says how to steer.
type SteerOptions struct{ Sticky bool }

// Steering exists on Linux only; see NewSteering.
type Steering struct{}

// NewSteering is errors.ErrUnsupported outside Linux.
func NewSteering([]*Socket, SteerOptions) (*Steering, error) { return nil, errors.ErrUnsupported }

// RestoreSteering is errors.ErrUnsupported outside Linux.
func RestoreSteering([]*Socket, []int, int, int) (*Steering, error) {
	return nil, errors.ErrUnsupported
}

// FDs are -1 outside Linux.
func (*Steering) FDs() (slots, buckets int) { return -1, -1 }

// Add is errors.ErrUnsupported outside Linux.
func (*Steering) Add(int, *Socket) error { return errors.ErrUnsupported }

// SetWeights is errors.ErrUnsupported outside Linux.
func (*Steering) SetWeights([]int) error { return errors.ErrUnsupported }

// Weights is nil outside Linux.
func (*Steering) Weights() []int { return nil }

// Table is nil outside Linux.
func (*Steering) Table() []int { return nil }

// Close does nothing outside Linux.
func (*Steering) Close() error { return nil }
