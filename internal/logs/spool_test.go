package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// device is a writer that can be full, and slow.
type device struct {
	mu    sync.Mutex
	text  bytes.Buffer
	room  int           // bytes that it still takes; negative: any number
	takes time.Duration // a write
}

func (d *device) Write(p []byte) (int, error) {
	d.mu.Lock()
	takes := d.takes
	d.mu.Unlock()
	if takes > 0 {
		<-time.After(takes)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.room < 0 || len(p) <= d.room {
		if d.room >= 0 {
			d.room -= len(p)
		}
		return d.text.Write(p)
	}
	n := bytes.LastIndexByte(p[:d.room], '\n') + 1
	d.text.Write(p[:n])
	d.room = 0
	return n, syscall.ENOSPC
}

func (d *device) set(room int, takes time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room, d.takes = room, takes
}

func (d *device) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

func testGap(l Loss) []byte { return fmt.Appendf(nil, "lost %d %d\n", l.Lines, l.Bytes) }

func put(s *Spool, lines ...string) {
	for _, line := range lines {
		_, _ = s.Write([]byte(line + "\n"))
	}
}

func closeSpool(t *testing.T, s *Spool) {
	t.Helper()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func requireText(t *testing.T, got fmt.Stringer, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
}

func TestSpoolPassesOn(t *testing.T) {
	t.Parallel()
	d := &device{room: -1}
	s := NewSpool(d, SpoolOptions{})
	put(s, "a", "b")
	if err := s.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	requireText(t, d, "a\nb\n")
	put(s, "c")
	closeSpool(t, s)
	closeSpool(t, s)
	put(s, "too late")
	requireText(t, d, "a\nb\nc\n")
}

// TestSpoolIsFull fills the device: what it does not take is counted, and told once it takes more.
func TestSpoolIsFull(t *testing.T) {
	t.Parallel()
	d := &device{room: 5}
	var errs []error
	var told []Loss
	s := NewSpool(d, SpoolOptions{
		Gap: testGap, OnError: func(err error) { errs = append(errs, err) }, OnGap: func(l Loss) { told = append(told, l) },
	})
	flush := func() {
		t.Helper()
		if err := s.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	_, _ = s.Write([]byte("one\ntwo\nthree\n"))
	flush()
	put(s, "four")
	flush()
	put(s, "five")
	flush()
	requireText(t, d, "one\n")
	d.set(-1, 0)
	put(s, "six")
	flush()
	closeSpool(t, s)
	requireText(t, d, "one\nlost 4 20\nsix\n")
	if len(errs) != 1 || !errors.Is(errs[0], syscall.ENOSPC) {
		t.Errorf("told of %v", errs)
	}
	if !cmp.Equal(told, []Loss{{4, 20}}) {
		t.Errorf("told %v", told)
	}
}

// TestSpoolTellsAtTheEnd: the disk has room again, but nobody writes any more.
func TestSpoolTellsAtTheEnd(t *testing.T) {
	t.Parallel()
	d := &device{}
	s := NewSpool(d, SpoolOptions{Gap: testGap})
	put(s, "one")
	if err := s.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	d.set(-1, 0)
	closeSpool(t, s)
	requireText(t, d, "lost 1 4\n")
}

// TestSpoolIsStuck: who writes waits for as long as the patience lasts, then no more, and what there is no room for is told at its place.
func TestSpoolIsStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &device{room: -1, takes: 10 * time.Second}
		var errs []error
		s := NewSpool(d, SpoolOptions{Size: 10, Patience: time.Second, Gap: testGap, OnError: func(err error) { errs = append(errs, err) }})
		begin := time.Now()
		put(s, "begun") // is being written
		synctest.Wait()
		put(s, "waits", "x") // fill the spool
		if took := time.Since(begin); took != 0 {
			t.Errorf("writes with room took %v", took)
		}
		put(s, "lost after a second")
		put(s, "lost at once")
		put(s, "")
		if took := time.Since(begin); took != time.Second {
			t.Errorf("writes without room took %v", took)
		}
		<-time.After(20 * time.Second)
		synctest.Wait()
		requireText(t, d, "begun\nwaits\nx\nlost 3 34\n")
		d.set(-1, 0)
		put(s, "once more")
		<-time.After(10 * time.Second)
		put(s, "good")
		synctest.Wait()
		put(s, "good again", "and again, for it is quick enough now")
		closeSpool(t, s)
		if want := "and again, for it is quick enough now\n"; !strings.HasSuffix(d.String(), want) || strings.Count(d.String(), "lost") != 1 {
			t.Errorf("got %q", d.String())
		}
		if len(errs) != 1 || !errors.Is(errs[0], ErrStalled) {
			t.Errorf("told of %v", errs)
		}
	})
}

// TestSpoolSlowsDown: who writes faster than the writer is slowed down, and nothing is lost.
func TestSpoolSlowsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &device{room: -1, takes: 100 * time.Millisecond}
		s := NewSpool(d, SpoolOptions{Size: 100, Patience: time.Second})
		var want strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&want, "%d\n", i)
			put(s, fmt.Sprint(i))
		}
		closeSpool(t, s)
		requireText(t, d, want.String())
	})
}

func TestSpoolGivesUpWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &device{room: -1, takes: time.Minute}
		s := NewSpool(d, SpoolOptions{})
		put(s, "x")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("flush: %v", err)
		}
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		closeSpool(t, s)
		requireText(t, d, "x\n")
	})
}

// hung up is a writer whose reader has gone.
type hungUp struct{ writes int }

func (h *hungUp) Write([]byte) (int, error) {
	h.writes++
	return 0, syscall.EPIPE
}

func TestSpoolWithoutReader(t *testing.T) {
	t.Parallel()
	h := &hungUp{}
	s := NewSpool(h, SpoolOptions{Gap: testGap, Size: 10})
	for range 100 {
		put(s, "nobody reads this")
		if err := s.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	closeSpool(t, s)
	if h.writes > 2 {
		t.Errorf("%d writes", h.writes)
	}
}

// TestSpoolCounts: from many at once, every line is written in the order of its writer, or counted.
func TestSpoolCounts(t *testing.T) {
	t.Parallel()
	const writers, lines = 4, 3000
	d := &device{room: 40_000}
	s := NewSpool(d, SpoolOptions{Gap: testGap, Size: 2000})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range lines {
				put(s, fmt.Sprintf("%d %d", w, i))
				if i == lines/2 {
					d.set(-1, 0)
				}
			}
		})
	}
	wg.Wait()
	closeSpool(t, s)
	total, next := 0, [writers]int{}
	for line := range strings.Lines(d.String()) {
		var w, i, lost, size int
		if n, _ := fmt.Sscanf(line, "lost %d %d", &lost, &size); n == 2 {
			total += lost
			continue
		}
		if n, _ := fmt.Sscanf(line, "%d %d", &w, &i); n != 2 || i < next[w] {
			t.Fatalf("line %q after %d", line, next[w])
		}
		next[w] = i + 1
		total++
	}
	if total != writers*lines {
		t.Errorf("%d lines of %d", total, writers*lines)
	}
}
