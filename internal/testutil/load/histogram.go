package load

import (
	"math/bits"
	"time"
)

// subBits is the resolution of a histogram: each power of two is cut into 2^subBits buckets, an error of 3 % at most.
const (
	subBits = 5
	buckets = (64 - subBits) << subBits
)

// Histogram counts durations in buckets whose width grows with the duration. The zero value is empty.
type Histogram struct {
	counts [buckets]uint32
	total  int
	max    time.Duration
}

// Add counts d.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
	h.max = max(h.max, d)
}

// Merge adds the counts of o.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

// Count is the number of durations added.
func (h *Histogram) Count() int { return h.total }

// Max is the longest duration added, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the duration that a share q (0 to 1) of all does not exceed; 0 for an empty histogram.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := int(q * float64(h.total))
	seen := 0
	for i, n := range h.counts {
		seen += int(n)
		if n > 0 && seen >= rank {
			return min(upperBound(i), h.max)
		}
	}
	return h.max
}

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// upperBound is the greatest duration that falls into bucket i.
func upperBound(i int) time.Duration {
	shift := max(i>>subBits-1, 0)
	return time.Duration((uint64(i-shift<<subBits)+1)<<shift - 1)
}
