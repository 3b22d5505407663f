package logs

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		lines, bytes int
		add, want    []string
	}{
		{"empty", 2, 10, nil, []string{}},
		{"few", 3, 10, []string{"a", "b"}, []string{"a", "b"}},
		{"many", 2, 10, []string{"a", "b", "c"}, []string{"b", "c"}},
		{"wide", 9, 4, []string{"aa", "bb", "c"}, []string{"bb", "c"}},
		{"too wide", 9, 4, []string{"a", "bbbbbb"}, []string{"bbbb"}},
		{"empty lines", 2, 1, []string{"", "", ""}, []string{"", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := NewRing(tt.lines, tt.bytes)
			for _, line := range tt.add {
				r.add([]byte(line))
			}
			if diff := cmp.Diff(tt.want, r.Lines()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNilRing(t *testing.T) {
	t.Parallel()
	var r *Ring
	r.add([]byte("x"))
	if got := r.Lines(); got != nil {
		t.Errorf("got %q", got)
	}
}

func TestRingKeepsTheLastAndDoesNotGrow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines, bytes := rapid.IntRange(1, 20).Draw(t, "lines"), rapid.IntRange(1, 100).Draw(t, "bytes")
		r := NewRing(lines, bytes)
		var all []string
		for _, line := range rapid.SliceOfN(rapid.StringMatching(`[a-z]{0,40}`), 0, 300).Draw(t, "add") {
			r.add([]byte(line))
			all = append(all, line[:min(len(line), bytes)])
			if got, want := r.Lines(), lastOf(all, lines, bytes); !cmp.Equal(want, got) {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		if cap(r.text) > 8*bytes+512 || cap(r.sizes) > 8*lines+64 {
			t.Fatalf("%d bytes and %d sizes for a ring of %d and %d", cap(r.text), cap(r.sizes), bytes, lines)
		}
	})
}

func lastOf(all []string, lines, bytes int) []string {
	from := len(all)
	for n := 0; from > 0 && len(all)-from < lines && n+len(all[from-1]) <= bytes; from-- {
		n += len(all[from-1])
	}
	return append([]string{}, all[from:]...)
}

func TestRingConcurrently(t *testing.T) {
	t.Parallel()
	r := NewRing(10, 100)
	var wg sync.WaitGroup
	for _, c := range []string{"a", "b"} {
		wg.Go(func() {
			for range 1000 {
				r.add([]byte(strings.Repeat(c, 7)))
				for _, line := range r.Lines() {
					if line != "aaaaaaa" && line != "bbbbbbb" {
						t.Errorf("got %q", line)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestRingKeepsWhyAGoProgramCrashed(t *testing.T) {
	t.Parallel()
	r := NewRing(3, 0)
	r.Refill([]string{"fatal error: all goroutines are asleep", "a", "b", "c", "panic: oops", "goroutine 1 [running]:", "main.main()", "main.go:7", "exit status 2"})
	if diff := cmp.Diff([]string{"panic: oops", "main.main()", "main.go:7", "exit status 2"}, r.Lines()); diff != "" {
		t.Error(diff)
	}
}

func TestLastKeepsWhyAGoProgramCrashed(t *testing.T) {
	t.Parallel()
	tests := []struct{ lines, want string }{
		{"a b c", "b c"},
		{"a", "a"},
		{"fatal error: x|panic: y|a|b|c", "panic: y|b|c"},
		{"a|panic: y|b", "panic: y|b"},
	}
	for _, tt := range tests {
		split := func(s string) []string {
			return strings.FieldsFunc(s, func(r rune) bool { return r == '|' || r == ' ' && !strings.Contains(s, "|") })
		}
		if diff := cmp.Diff(split(tt.want), Last(split(tt.lines), 2)); diff != "" {
			t.Errorf("%s: %s", tt.lines, diff)
		}
	}
}
