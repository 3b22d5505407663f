//go:build !linux

package fdstore

import "errors"

// Box is not available on this system.
type Box struct{}

// NewBox is not available on this system.
func NewBox() (*Box, error) { return nil, errors.ErrUnsupported }

// Seal is not available on this system.
func Seal([]Kept) (int, error) { return -1, errors.ErrUnsupported }

// OpenBox is not available on this system.
func OpenBox(int) (*Box, []Kept, error) { return nil, nil, errors.ErrUnsupported }

// Unseal is not available on this system.
func Unseal(int) ([]Kept, error) { return nil, errors.ErrUnsupported }

// FD is none on this system.
func (b *Box) FD() int { return -1 }

// FDs are none on this system.
func (b *Box) FDs() [2]int { return [2]int{-1, -1} }

// ResumeBox is not available on this system.
func ResumeBox([2]int) (*Box, error) { return nil, errors.ErrUnsupported }

// Close does nothing on this system.
func (b *Box) Close() {}

// Set does nothing on this system.
func (b *Box) Set([]Kept) error { return errors.ErrUnsupported }

// Cookie is not available on this system.
func Cookie(int) (uint64, error) { return 0, errors.ErrUnsupported }

// Take is not available on this system.
func Take(int, int, uint64) (int, error) { return -1, errors.ErrUnsupported }
