package load

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestQuantilesAreNearTheTruth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ds := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 200).Draw(t, "durations")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		cut := rapid.IntRange(0, len(ds)).Draw(t, "cut")
		var h, other Histogram
		for _, d := range ds[:cut] {
			h.Add(time.Duration(d))
		}
		for _, d := range ds[cut:] {
			other.Add(time.Duration(d))
		}
		h.Merge(&other)
		slices.Sort(ds)
		exact := ds[max(int(q*float64(len(ds)))-1, 0)]
		got := int64(h.Quantile(q))
		if got < exact || float64(got) > float64(exact)*1.04+1 {
			t.Fatalf("quantile %v of %v: %d, exactly %d", q, ds, got, exact)
		}
		if h.Count() != len(ds) || int64(h.Max()) != ds[len(ds)-1] {
			t.Fatalf("count %d, max %d of %v", h.Count(), h.Max(), ds)
		}
	})
}

func TestBucketsCoverEveryDuration(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64().Draw(t, "d"))
		i := bucketOf(d)
		if i < 0 || i >= buckets || upperBound(i) < d {
			t.Fatalf("%d falls into bucket %d, up to %d", d, i, upperBound(i))
		}
		if i > 0 && d > 0 && upperBound(i-1) >= d {
			t.Fatalf("%d falls into bucket %d, after %d", d, i, upperBound(i-1))
		}
	})
}
