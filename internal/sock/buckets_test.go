package sock

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var anyWeights = rapid.Custom(func(t *rapid.T) []int {
	weights := rapid.SliceOfN(rapid.IntRange(0, 100), 1, Buckets).Draw(t, "weights")
	weights[rapid.IntRange(0, len(weights)-1).Draw(t, "positive")] = 1
	return weights
})

func count(table []int, slots int) []int {
	counts := make([]int, slots)
	for _, slot := range table {
		counts[slot]++
	}
	return counts
}

func TestSpreadFollowsTheWeights(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := anyWeights.Draw(t, "weights")
		table, err := spread(nil, weights)
		if err != nil || len(table) != Buckets {
			t.Fatalf("%d buckets, %v", len(table), err)
		}
		sum, positive := 0, 0
		for _, w := range weights {
			sum += w
			if w > 0 {
				positive++
			}
		}
		for slot, n := range count(table, len(weights)) {
			// One bucket each comes first, the others go by weight.
			exact := float64(Buckets-positive) * float64(weights[slot]) / float64(sum)
			switch {
			case weights[slot] == 0 && n != 0:
				t.Errorf("slot %d has %d buckets and no weight", slot, n)
			case weights[slot] > 0 && math.Abs(float64(n-1)-exact) >= 1:
				t.Errorf("slot %d has %d buckets, want 1 + %.2f", slot, n, exact)
			}
		}
	})
}

// Only as many buckets move as slots lose, and they are the same ones every time.
func TestSpreadMovesAsFewAsPossible(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before, after := anyWeights.Draw(t, "before"), anyWeights.Draw(t, "after")
		prev, err := spread(nil, before)
		if err != nil {
			t.Fatal(err)
		}
		next, err := spread(prev, after)
		if err != nil {
			t.Fatal(err)
		}
		moved := 0
		for i := range next {
			if next[i] != prev[i] {
				moved++
			}
		}
		slots := max(len(before), len(after))
		had, has := count(prev, slots), count(next, slots)
		must := 0
		for slot := range slots {
			must += max(0, had[slot]-has[slot])
		}
		if moved != must {
			t.Errorf("%d buckets moved, %d had to", moved, must)
		}
		again, _ := spread(prev, after)
		if !slices.Equal(next, again) {
			t.Error("the same step gave another table")
		}
		if same, _ := spread(next, after); !slices.Equal(next, same) {
			t.Error("the same weights moved buckets")
		}
	})
}

func TestSpreadRefuses(t *testing.T) {
	t.Parallel()
	for _, weights := range [][]int{nil, {0, 0}, {-1, 2}, {maxWeight + 1}, slices.Repeat([]int{1}, Buckets+1)} {
		if table, err := spread(nil, weights); err == nil {
			t.Errorf("%d weights gave %v", len(weights), table)
		}
	}
	if _, err := spread(nil, []int{0}); !errors.Is(err, errNoWeight) {
		t.Errorf("error %v, want %v", err, errNoWeight)
	}
}

// The table must not change between releases: a sticky client would lose its slot.
func TestSpreadIsTheSameForEver(t *testing.T) {
	t.Parallel()
	table, err := spread(nil, []int{1, 1, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	want := []int{3, 1, 0, 2, 3, 3, 3, 1, 3, 0, 0, 2, 1, 3, 0, 1}
	if diff := cmp.Diff(want, table[:16]); diff != "" {
		t.Error(diff)
	}
}
