package master

import (
	"testing"
	"time"

	"github.com/musterd/muster/internal/app"
)

func TestMemoryPace(t *testing.T) {
	t.Parallel()
	const limit = 1000 << 20
	type look struct {
		used app.Size // in percent of the limit
		want time.Duration
	}
	tests := []struct {
		name  string
		looks []look
	}{
		{"does not grow", []look{
			{10, time.Second}, {10, 2 * time.Second}, {11, 4 * time.Second}, {10, 8 * time.Second}, {10, 16 * time.Second}, {10, memorySeldom},
			{10, memorySeldom},
		}},
		{"stands near its limit", []look{{90, time.Second}, {90, 2 * time.Second}, {90, 4 * time.Second}, {90, 8 * time.Second}, {90, memoryNear}}},
		{"grows", []look{{10, time.Second}, {20, 2 * time.Second}, {40, 1500 * time.Millisecond}, {60, 750 * time.Millisecond}}},
		{"is nearly there", []look{{10, time.Second}, {95, memoryOften}, {99, memoryOften}}},
		{"shrinks", []look{{80, time.Second}, {20, 2 * time.Second}}},
		{"grows slowly", []look{{10, time.Second}, {12, 11 * time.Second}}},
		{"is over", []look{{10, time.Second}, {120, memoryOften}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var p memoryPace
			now := time.Unix(1e9, 0)
			for i, l := range test.looks {
				got := p.next(now, l.used*limit/100, limit)
				if got.Round(10*time.Millisecond) != l.want {
					t.Fatalf("look %d: %v, want %v", i, got, l.want)
				}
				now = now.Add(got)
			}
		})
	}
}
