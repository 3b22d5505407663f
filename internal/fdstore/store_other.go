//go:build !linux

package fdstore

import (
	"context"
	"errors"

	"github.com/musterd/muster/internal/notify"
)

// DefaultMax is how many descriptors a Store keeps at most unless it is told otherwise.
const DefaultMax = 16384

// Kept is a descriptor with its name.
type Kept struct {
	Name string
	FD   int
}

// Store is not available on this system.
type Store struct{}

// New is not available on this system.
func New(string, int, func(notify.Message)) (*Store, error) { return nil, errors.ErrUnsupported }

// Path is empty on this system.
func (s *Store) Path() string { return "" }

// Settle does nothing on this system.
func (s *Store) Settle(context.Context) error { return nil }

// Kept is empty on this system.
func (s *Store) Kept() []Kept { return nil }

// Clear does nothing on this system.
func (s *Store) Clear() {}

// Close does nothing on this system.
func (s *Store) Close() {}
