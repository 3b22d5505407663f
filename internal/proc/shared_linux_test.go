package proc

import (
	"sync"
	"testing"
)

// Whoever asks gets a look that began after the question: here, one that sees a
// counter at least as high as it was then.
func TestShared(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var counter, looks int
	s := shared[int]{look: func() int {
		mu.Lock()
		defer mu.Unlock()
		looks++
		return counter
	}}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			mu.Lock()
			counter++
			want := counter
			mu.Unlock()
			if got := s.next(); got < want {
				t.Errorf("saw %d, want at least %d", got, want)
			}
		})
	}
	wg.Wait()
	if looks > 100 {
		t.Errorf("%d looks for 100 questions", looks)
	}
}
