package testutil

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// seedVariable repeats the run of a test that logged its seed.
const seedVariable = "MUSTER_SEED"

// Rand returns a generator whose seed it logs. $MUSTER_SEED repeats a run.
func Rand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv(seedVariable); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("parse %s: %v", seedVariable, err)
		}
		seed = n
	}
	t.Logf("%s=%d", seedVariable, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Moments calls act at random moments, with pauses between least and most, until ctx ends or act returns false.
func Moments(ctx context.Context, rng *rand.Rand, least, most time.Duration, act func() bool) {
	for {
		timer := time.NewTimer(least + time.Duration(rng.Int64N(int64(max(most-least, 1)))))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		if !act() {
			return
		}
	}
}

// Pick returns one of vs; false if there is none.
func Pick[T any](rng *rand.Rand, vs []T) (v T, ok bool) {
	if len(vs) == 0 {
		return v, false
	}
	return vs[rng.IntN(len(vs))], true
}
