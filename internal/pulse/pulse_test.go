package pulse

import (
	"testing"
	"time"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// look is one look at a queue: its length then, what the user took before it, and what is expected.
type look struct {
	n, taken int
	stuck    bool
	report   bool
	fresh    bool // the user gave it a fresh start before
}

func TestJudgement(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		urgent bool
		looks  []look
	}{
		{"taken at once", false, []look{{n: 0}, {n: 0}, {n: 0}}},
		{"falls", false, []look{{n: 5}, {n: 4}, {n: 3}, {n: 2}, {n: 1}, {n: 0}}},
		{"rises and falls", false, []look{{n: 1}, {n: 2}, {n: 1}, {n: 2}, {n: 3}, {n: 2}}},
		{"stands", false, []look{{n: 1}, {n: 1}, {n: 1, stuck: true, report: true}, {n: 1, stuck: true, report: true}}},
		{"rises only", false, []look{{n: 1}, {n: 2}, {n: 3, stuck: true, report: true}}},
		{"moves again", false, []look{{n: 2}, {n: 2}, {n: 2, stuck: true, report: true}, {n: 1, report: true}, {n: 0}}},
		{"what the user takes is no sign of life", false, []look{
			{n: 2}, {n: 2}, {n: 2, stuck: true, report: true}, {n: 0, taken: 2, stuck: true}, {n: 1, stuck: true, report: true},
			{n: 0, taken: 1, stuck: true},
		}},
		{"taken by its worker after the user took some", false, []look{
			{n: 2}, {n: 2}, {n: 2, stuck: true, report: true}, {n: 0, taken: 1, report: true},
		}},
		{"a fresh start", false, []look{
			{n: 2}, {n: 2}, {n: 2, stuck: true, report: true}, {n: 0, taken: 2, fresh: true, report: true}, {n: 1}, {n: 1}, {n: 1, stuck: true, report: true},
		}},
		{"a fresh start while connections wait", false, []look{
			{n: 1}, {n: 1}, {n: 1, stuck: true, report: true}, {n: 1, fresh: true, report: true}, {n: 1}, {n: 1, stuck: true, report: true},
		}},
		{"nobody serves it", true, []look{{n: 1, stuck: true, report: true}, {n: 0, taken: 1, stuck: true}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := &entry{urgent: test.urgent}
			now := epoch
			e.wake(now)
			for i, l := range test.looks {
				now = e.at
				e.taken += l.taken
				e.fresh = l.fresh
				r, ok := e.look(now, l.n)
				if e.stuck != l.stuck || ok != l.report {
					t.Fatalf("look %d: stuck %v, report %v (%+v), want %v and %v", i, e.stuck, ok, r, l.stuck, l.report)
				}
			}
		})
	}
}

func TestAnIdleQueueIsNotLookedAt(t *testing.T) {
	t.Parallel()
	e := &entry{}
	e.wake(epoch)
	for i := range rests {
		if !e.active {
			t.Fatalf("idle after %d looks", i)
		}
		e.look(epoch, 0)
	}
	if e.active {
		t.Fatal("still looked at")
	}
}

// A queue that stands is looked at sooner than one that moves: by that a connection is with another worker after some 20 ms.
func TestDoubtLooksSooner(t *testing.T) {
	t.Parallel()
	e := &entry{}
	e.wake(epoch)
	var waited time.Duration
	for !e.stuck {
		waited = e.at.Sub(epoch)
		e.look(e.at, 1)
	}
	if waited > 25*time.Millisecond {
		t.Errorf("stuck after %v", waited)
	}
	for _, test := range []struct {
		name string
		e    entry
		n    int
		want time.Duration
	}{
		{"falls", entry{last: 3}, 2, period},
		{"empty", entry{last: 0}, 0, period},
		{"rises", entry{last: 1}, 2, doubt},
		{"stuck, and emptied by the user", entry{last: 2, taken: 2, stuck: true}, 0, doubt},
	} {
		test.e.look(epoch, test.n)
		if got := test.e.at.Sub(epoch); got != test.want {
			t.Errorf("%s: looked at after %v, want %v", test.name, got, test.want)
		}
	}
}

// The first look comes when a living worker has had its chance, but at once where there is none.
func TestFirstLook(t *testing.T) {
	t.Parallel()
	served, empty := &entry{}, &entry{urgent: true}
	served.wake(epoch)
	empty.wake(epoch)
	if got := served.at.Sub(epoch); got != first {
		t.Errorf("served: %v, want %v", got, first)
	}
	if got := empty.at.Sub(epoch); got != 0 {
		t.Errorf("empty: %v, want at once", got)
	}
}
