package logs

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// Sink merges the lines of many sources into one stream; lines never interleave within a line.
//
// The writer may block: then those who write to the sink wait, and nobody else. When the writer fails, lines are lost but writers
// go on, so no worker is killed or blocked because nobody reads. After EPIPE the sink writes no more. Go ends the process on EPIPE
// from fd 1 or 2 unless the program takes SIGPIPE by signal.Notify; whoever writes a sink to those must do so.
type Sink struct {
	options Options
	color   bool
	now     func() time.Time
	history *History // of the workers' lines; nil: none

	mu      sync.Mutex
	w       io.Writer // not closed by the sink
	failing bool      // OnError has been told
	gone    error     // EPIPE: nobody will ever read again
}

// NewSink returns a sink that writes to w, in pieces of whole lines. The caller closes w when nobody writes to the sink any more.
func NewSink(w io.Writer, o Options) *Sink {
	return &Sink{options: o, color: o.colored(w, os.Getenv), now: time.Now, w: w}
}

// Write passes p, which must be whole lines, to the writer at once. It is how a handler shares the stream with the workers.
func (s *Sink) Write(p []byte) (int, error) {
	n, report, err := s.write(p)
	if report && s.options.OnError != nil {
		s.options.OnError(err)
	}
	return n, err
}

// write also says whether the error is to be reported, which is done without the lock: OnError may log to this sink.
func (s *Sink) write(p []byte) (n int, report bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone != nil {
		return 0, false, s.gone
	}
	n, err = s.w.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		s.gone = err
	}
	report = err != nil && !s.failing
	s.failing = err != nil
	return n, report, err
}

func (s *Sink) encoder(src Source) encoder { return newEncoder(src, s.options, s.color) }
