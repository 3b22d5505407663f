package logs

import (
	"bytes"
	"log/slog"
	"sync"
	"time"
)

// historySize is how much of the past a History keeps, in bytes.
const historySize = 256 << 10

// History keeps the last lines of a stream in memory, in the form of a log file, for those who come later. Positions count the bytes that were
// ever written. It may be used by many goroutines at once; a nil History keeps nothing.
type History struct {
	mu      sync.Mutex
	text    []byte
	end     int64         // position behind text
	changed chan struct{} // closed at the next write; nil: nobody waits
	ended   chan struct{} // closed by Release
}

// NewHistory returns an empty history. Memory is taken as lines come.
func NewHistory() *History { return &History{ended: make(chan struct{})} }

// HistoryOptions are those of the lines in a History.
var HistoryOptions = Options{Timestamps: true, Details: true}

// Write adds whole lines.
func (h *History) Write(p []byte) (int, error) {
	if h == nil {
		return len(p), nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.text)+len(p) > 2*historySize {
		keep := lastLines(h.text, max(0, historySize-len(p)))
		h.text = append(h.text[:0], keep...)
	}
	h.text = append(h.text, p...)
	h.end += int64(len(p))
	release(&h.changed)
	return len(p), nil
}

// lastLines are the whole lines within the last size bytes.
func lastLines(text []byte, size int) []byte {
	if len(text) <= size {
		return text
	}
	from := len(text) - size
	if end := bytes.IndexByte(text[from-1:], '\n'); size > 0 && end >= 0 {
		return text[from+end:]
	}
	return nil
}

// Since returns the lines behind a position, those that are still known, and the position behind them. A negative position is the beginning.
func (h *History) Since(position int64) (lines []byte, next int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := lastLines(h.text, historySize)
	missing := h.end - position
	switch {
	case position < 0 || position > h.end: // of another master
		return bytes.Clone(known), h.end
	case missing > int64(len(known)):
		return append(tooSlow(missing-int64(len(known))), known...), h.end
	}
	return bytes.Clone(known[int64(len(known))-missing:]), h.end
}

// tooSlow is the line that stands for what a reader did not come in time for.
func tooSlow(bytes int64) []byte {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines left out: the reader is too slow", 0)
	r.Add("bytes", bytes)
	return []byte(HistoryOptions.Record(r))
}

// Changed is closed when there is something behind a position, and released at the latest by Release, which ended tells of.
func (h *History) Changed(position int64) (changed, ended <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.end > position {
		now := make(chan struct{})
		close(now)
		return now, h.ended
	}
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.changed, h.ended
}

// Release lets everybody go who waits now.
func (h *History) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.ended)
	h.ended = make(chan struct{})
}
