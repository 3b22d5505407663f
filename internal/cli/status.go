package cli

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// status is the last line of a terminal while a command waits: what for, how far it is, and since when. A nil one does nothing.
type status struct {
	out   *os.File
	begun time.Time
	quit  chan struct{}
	gone  chan struct{} // closed when the goroutine has ended

	mu   sync.Mutex // a line is written, or the text changed
	text string     // empty: nothing is shown
}

// newStatus shows the status of what f waits for, until end. It is nil in a pipe, and where nothing is to be shown.
func (f *follower) newStatus(text string) *status {
	if f.json || f.quiet || f.terse || !isTerminal(f.stdout) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	s := &status{out: f.stdout, begun: time.Now(), quit: make(chan struct{}), gone: make(chan struct{}), text: text}
	go s.tick() // ends at end
	return s
}

// tick draws the line anew while time passes.
func (s *status) tick() {
	defer close(s.gone)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		s.set("")
		select {
		case <-second.C:
		case <-s.quit:
			return
		}
	}
}

// set changes the text, or, without one, draws the line as it now is.
func (s *status) set(text string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if text != "" {
		s.text = text
	}
	s.draw()
}

// clearLine takes the line away, to write something else.
const clearLine = "\r\x1b[K"

func (s *status) draw() {
	line := fmt.Sprintf("… %s, %s", s.text, short(time.Since(s.begun).Truncate(time.Second)))
	if width := widthOf(s.out); width > 1 {
		line = cut(line, width-1) // in the last column the cursor would go on to the next line
	}
	fmt.Fprint(s.out, clearLine+line)
}

// print prints a line above the status.
func (s *status) print(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprint(s.out, clearLine+line+"\n")
	s.draw()
}

// end takes the line away for good.
func (s *status) end() {
	if s == nil {
		return
	}
	close(s.quit)
	<-s.gone
	fmt.Fprint(s.out, clearLine)
}
