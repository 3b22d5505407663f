package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// gate is a writer that takes a write only after a value from open, or when it is closed; writing says when a write has begun.
type gate struct {
	bytes.Buffer
	writing chan struct{}
	open    chan struct{}
}

func newGate() *gate { return &gate{writing: make(chan struct{}, 1000), open: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	g.writing <- struct{}{}
	<-g.open
	return g.Buffer.Write(p)
}

func TestAsyncKeepsOrder(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	a := NewAsync(NewHandler(&b, Options{}), 0)
	l := slog.New(a)
	l.Info("one")
	l.With("k", 1).Info("two")
	l.WithGroup("g").Info("three", "k", 2)
	l.Debug("not enabled")
	closeAsync(t, a)
	closeAsync(t, a)
	l.Info("too late")
	if diff := cmp.Diff("muster: one\nmuster: two k=1\nmuster: three g.k=2\n", b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func closeAsync(t *testing.T, a *Async) {
	t.Helper()
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAsyncDropsAndReports(t *testing.T) {
	t.Parallel()
	g := newGate()
	a := NewAsync(NewHandler(g, Options{}), 4)
	l := slog.New(a)
	l.Info("0")
	<-g.writing // the queue is empty, its goroutine held up
	for i := range 7 {
		l.Info(fmt.Sprint(i + 1))
	}
	close(g.open)
	closeAsync(t, a)
	want := "muster: 0\nmuster: 1\nmuster: 2\nmuster: warning: log records dropped count=3\nmuster: 3\nmuster: 4\n"
	if diff := cmp.Diff(want, g.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAsyncCloseGivesUp(t *testing.T) {
	t.Parallel()
	g := newGate()
	a := NewAsync(NewHandler(g, Options{}), 4)
	slog.New(a).Info("stuck")
	<-g.writing
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	close(g.open)
	closeAsync(t, a)
	if got := g.String(); got != "muster: stuck\n" {
		t.Errorf("got %q", got)
	}
}

// TestAsyncCounts has many goroutines log at once: every record is written or counted.
func TestAsyncCounts(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	a := NewAsync(NewHandler(&b, Options{}), 8)
	l := slog.New(a)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				l.Info("x")
			}
		})
	}
	wg.Wait()
	closeAsync(t, a)
	total := 0
	for line := range strings.Lines(b.String()) {
		n := 1
		if _, err := fmt.Sscanf(line, "muster: warning: log records dropped count=%d", &n); err != nil && line != "muster: x\n" {
			t.Fatalf("line %q", line)
		}
		total += n
	}
	if total != 2000 {
		t.Errorf("%d records", total)
	}
}
