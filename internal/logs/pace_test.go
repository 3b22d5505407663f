package logs

import (
	"testing"
	"time"
)

// TestPace drives a worker that writes so many bytes a second for a while: the rounds become such that the worker never waits, and there are few of
// them.
func TestPace(t *testing.T) {
	t.Parallel()
	const room = 256 << 10
	now := time.Unix(0, 0)
	tests := []struct {
		name      string
		perSecond int
		maxRounds int // a second
	}{
		{"100 MB/s", 100e6, 1200},
		{"20 MB/s", 20e6, 350},
		{"1 MB/s", 1e6, 150},
		{"a line every 4 ms", 50_000, 260},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := pace{room: room}
			line := time.Duration(200 * float64(time.Second) / float64(tt.perSecond))
			at, pause, rounds, waits := now, time.Duration(0), 0, 0
			for ; at.Sub(now) < 2*time.Second; rounds++ {
				passed := max(pause, line) // what it waits for is a line at least
				at = at.Add(passed - pause)
				bytes := int(passed.Seconds() * float64(tt.perSecond))
				if bytes > room {
					waits++
				}
				pause = p.after(min(bytes, room), passed-pause)
				at = at.Add(pause)
			}
			if rounds/2 > tt.maxRounds || waits > 0 {
				t.Errorf("%d rounds a second, %d waits", rounds/2, waits)
			}
		})
	}
}

// TestPaceOfRareLines: nobody waits for them.
func TestPaceOfRareLines(t *testing.T) {
	t.Parallel()
	p := pace{room: 64 << 10}
	for range 100 {
		if pause := p.after(100, 10*time.Millisecond); pause != 0 {
			t.Fatalf("paused for %v", pause)
		}
	}
}
