//go:build !linux

package demo

import (
	"runtime"
	"sync"
	"time"
)

// freeze keeps every processor busy for d. Other goroutines still get slices of time; Linux can do better.
func freeze(d time.Duration) {
	end := time.Now().Add(d)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for time.Now().Before(end) {
			}
		})
	}
	all.Wait()
}
