package logs

import "sync"

// Defaults of NewRing.
const (
	DefaultRingLines = 100
	DefaultRingBytes = 16 << 10
)

// Ring keeps the last lines of a worker. It may be used by many goroutines at once; a nil Ring keeps nothing.
type Ring struct {
	maxLines, maxBytes int

	mu    sync.Mutex
	text  []byte // the kept lines end to end, after off bytes of dropped ones
	off   int
	sizes []int // of the kept lines, after head dropped ones
	head  int
}

// NewRing returns a ring of at most so many lines and bytes, whichever is less; numbers below 1 mean the defaults. Memory is taken
// as lines come, about twice bytes at most.
func NewRing(lines, bytes int) *Ring {
	if lines < 1 {
		lines = DefaultRingLines
	}
	if bytes < 1 {
		bytes = DefaultRingBytes
	}
	return &Ring{maxLines: lines, maxBytes: bytes}
}

// Lines returns the kept lines without their newlines, oldest first. A line longer than the ring is cut at its end.
func (r *Ring) Lines() []string {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := make([]string, 0, len(r.sizes)-r.head)
	at := r.off
	for _, size := range r.sizes[r.head:] {
		lines = append(lines, string(r.text[at:at+size]))
		at += size
	}
	return lines
}

// Refill puts back lines that another ring kept.
func (r *Ring) Refill(lines []string) {
	for _, line := range lines {
		r.add([]byte(line))
	}
}

// add keeps a copy of line.
func (r *Ring) add(line []byte) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	line = line[:min(len(line), r.maxBytes)]
	for r.full(len(line)) {
		r.off += r.sizes[r.head]
		r.head++
	}
	r.compact()
	r.text = append(r.text, line...)
	r.sizes = append(r.sizes, len(line))
}

func (r *Ring) full(more int) bool {
	kept := len(r.sizes) - r.head
	return kept >= r.maxLines || kept > 0 && len(r.text)-r.off+more > r.maxBytes
}

// compact moves the kept lines to the front once what was dropped takes more room than they do: a move costs less than what came
// since the last one.
func (r *Ring) compact() {
	if r.off >= r.maxBytes {
		r.text = append(r.text[:0], r.text[r.off:]...)
		r.off = 0
	}
	if r.head > len(r.sizes)/2 {
		r.sizes = append(r.sizes[:0], r.sizes[r.head:]...)
		r.head = 0
	}
}
