package logs

import (
	"bytes"
	"slices"
	"sync"
)

// Defaults of NewRing.
const (
	DefaultRingLines = 100
	DefaultRingBytes = 16 << 10
)

// Ring keeps the last lines of a worker. It may be used by many goroutines at once; a nil Ring keeps nothing.
type Ring struct {
	maxLines, maxBytes int

	mu    sync.Mutex
	title []byte // the line that begins the last crash of a Go program, once the lines behind it have pushed it out
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

// Lines returns the kept lines without their newlines, oldest first. A line longer than the ring is cut at its end. A Go program that crashes
// says why first, and then the stacks of all goroutines, which may be thousands of lines: the line that says why is kept beside the last ones.
func (r *Ring) Lines() []string {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := make([]string, 0, len(r.sizes)-r.head+1)
	if r.title != nil {
		lines = append(lines, string(r.title))
	}
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
	if isTitle(line) {
		r.title = nil // an older one
	}
	for r.full(len(line)) {
		if first := r.text[r.off : r.off+r.sizes[r.head]]; isTitle(first) {
			r.title = append([]byte(nil), first...)
		}
		r.off += r.sizes[r.head]
		r.head++
	}
	r.compact()
	r.text = append(r.text, line...)
	r.sizes = append(r.sizes, len(line))
}

// Last returns the last n lines, and before them the one that says why a Go program crashed, if that is among those left out.
func Last(lines []string, n int) []string {
	cut := max(0, len(lines)-n)
	for i := cut - 1; i >= 0; i-- {
		if isTitle([]byte(lines[i])) {
			return append([]string{lines[i]}, lines[cut:]...)
		}
	}
	return lines[cut:]
}

// titles are how the Go runtime, and a worker on the SDK, begin their last words.
var titles = [][]byte{[]byte("panic: "), []byte("fatal error: "), []byte("muster: worker is dying: ")}

func isTitle(line []byte) bool {
	return slices.ContainsFunc(titles, func(title []byte) bool { return bytes.HasPrefix(line, title) })
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
