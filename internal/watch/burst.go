package watch

import "time"

// Burst gathers changes that belong together: a checkout or a build changes many files. It is plain data, and is told the time.
type Burst struct {
	Path  string    `json:"path,omitempty"` // of the first change
	Count int       `json:"count,omitempty"`
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// patience is how many delays a burst may go on: a file that is written all the time must not keep the others' changes from ever counting.
const patience = 25

// Add adds a change.
func (b *Burst) Add(path string, now time.Time) {
	if b.Count == 0 {
		b.Path, b.First = path, now
	}
	b.Count++
	b.Last = now
}

// Over is when the burst is over unless something more changes: when nothing has for the delay. It is false when there is none.
func (b *Burst) Over(delay time.Duration) (time.Time, bool) {
	if b.Count == 0 {
		return time.Time{}, false
	}
	quiet, bound := b.Last.Add(delay), b.First.Add(patience*delay)
	if bound.Before(quiet) {
		return bound, true
	}
	return quiet, true
}
