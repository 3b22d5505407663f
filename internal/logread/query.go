package logread

import (
	"iter"
	"time"
)

// Query says which lines are wanted.
type Query struct {
	Last  int             // the last so many of each source; negative: all
	Since time.Time       // no older ones
	Keep  func(Line) bool // nil: all
}

func (q *Query) keeps(l Line) bool {
	if !q.Since.IsZero() && l.Time.Before(q.Since) {
		return false
	}
	return q.Keep == nil || q.Keep(l)
}

// lastOf keeps the last n lines of those that are added; a negative n keeps all.
type lastOf struct {
	n     int
	lines []Line
}

func (k *lastOf) add(l Line) {
	if k.n == 0 {
		return
	}
	if k.n > 0 && len(k.lines) >= 2*k.n {
		k.lines = append(k.lines[:0], k.lines[len(k.lines)-k.n+1:]...)
	}
	k.lines = append(k.lines, l)
}

func (k *lastOf) all() []Line {
	if k.n >= 0 && len(k.lines) > k.n {
		return k.lines[len(k.lines)-k.n:]
	}
	return k.lines
}

// merge brings several sequences together in the order of time. Each is in order; where one is not, its own order counts.
func merge(sequences []iter.Seq[Line]) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		type head struct {
			line Line
			next func() (Line, bool)
		}
		var heads []*head
		for _, s := range sequences {
			next, stop := iter.Pull(s)
			defer stop()
			if l, ok := next(); ok {
				heads = append(heads, &head{l, next})
			}
		}
		for len(heads) > 0 {
			first := 0
			for i, h := range heads {
				if h.line.Time.Before(heads[first].line.Time) {
					first = i
				}
			}
			h := heads[first]
			if !yield(h.line) {
				return
			}
			var more bool
			if h.line, more = h.next(); !more {
				heads = append(heads[:first], heads[first+1:]...)
			}
		}
	}
}
