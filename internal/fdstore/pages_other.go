//go:build !linux

package fdstore

import "errors"

// Pages is not available on this system.
type Pages struct{}

// NewPages is not available on this system.
func NewPages(string, uint64) (*Pages, error) { return nil, errors.ErrUnsupported }

// FDs are none on this system.
func (p *Pages) FDs() [2]int { return [2]int{-1, -1} }

// Number is zero on this system.
func (p *Pages) Number() uint64 { return 0 }

// Write does nothing on this system.
func (p *Pages) Write([]byte) error { return nil }

// Close does nothing on this system.
func (p *Pages) Close() {}

// ReadPages is not available on this system.
func ReadPages([]int) ([]byte, uint64, error) { return nil, 0, errors.ErrUnsupported }
