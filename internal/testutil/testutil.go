// Package testutil is what tests with real processes share: the muster binary, the programs that it is tested with, waiting without
// sleeping, and the assertion that nothing is left behind.
//
// With CI=true in the environment a program that is missing fails the test; elsewhere the test is skipped.
package testutil

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// Patience is how long a helper of this package waits for something that should be there soon.
const Patience = 60 * time.Second

// grace is left for cleanup before the test binary's own deadline, after which go test panics.
const grace = 5 * time.Second

// deadliner is the part of *testing.T that testing.TB lacks.
type deadliner interface{ Deadline() (time.Time, bool) }

// Deadline is when a wait that begins now has to end: after Patience, or shortly before the deadline of the test binary.
func Deadline(t testing.TB) time.Time {
	at := time.Now().Add(Patience)
	d, ok := t.(deadliner)
	if !ok {
		return at
	}
	if end, ok := d.Deadline(); ok && end.Add(-grace).Before(at) {
		return end.Add(-grace)
	}
	return at
}

// Context ends with the test, or at Deadline.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithDeadline(t.Context(), Deadline(t))
	t.Cleanup(cancel)
	return ctx
}

// Root is the module's root folder.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// inCI tells whether a missing program is a failure.
func inCI() bool { return os.Getenv("CI") == "true" }

// missing ends the test: as failed in CI, as skipped elsewhere.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if inCI() {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
