package e2e

import (
	"context"
	"testing"

	"github.com/musterd/muster/internal/testutil/load"
)

// loadUntil puts load on addr until stop is called. What is in flight then is not counted.
func loadUntil(t *testing.T, addr string, o load.Options) (stop func() *load.Result) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	o.Addr = addr
	done := make(chan *load.Result, 1)
	go func() { // ends with ctx
		got, err := load.Run(ctx, o)
		if err != nil {
			t.Error(err)
		}
		done <- got
	}()
	return func() *load.Result {
		cancel()
		return <-done
	}
}
