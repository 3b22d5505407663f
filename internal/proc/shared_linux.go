package proc

import (
	"sync"
	"sync/atomic"
)

// shared lets those who want to look at the same thing at the same time, as when
// a thousand workers are stopped at once, do it together.
type shared[T any] struct {
	look    func() T
	started atomic.Uint64
	running sync.Mutex // one look at a time
	found   T
}

// next is the result, to be read only, of a look that began after the call.
func (s *shared[T]) next() T {
	before := s.started.Load()
	s.running.Lock()
	defer s.running.Unlock()
	if s.started.Load() == before {
		s.started.Add(1)
		s.found = s.look()
	}
	return s.found
}
