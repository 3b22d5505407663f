//go:build !linux

package pulse

import "errors"

// Watcher needs the length of an accept queue, which only Linux tells.
type Watcher struct{}

// New returns errors.ErrUnsupported.
func New(func(Report)) (*Watcher, error) { return nil, errors.ErrUnsupported }

// Add does nothing.
func (*Watcher) Add(Key, Queue) error { return errors.ErrUnsupported }

// Remove does nothing.
func (*Watcher) Remove(Key) {}

// Urgent does nothing.
func (*Watcher) Urgent(Key, bool) {}

// Forgive does nothing.
func (*Watcher) Forgive(Key) {}

// Took does nothing.
func (*Watcher) Took(Key, int) {}

// Close does nothing.
func (*Watcher) Close() {}
