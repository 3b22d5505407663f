package testutil

import (
	"bufio"
	"io"
	"regexp"
	"strings"
	"sync"
)

// transcript collects the lines that a process writes to its pipes, in the order in which they were read.
type transcript struct {
	mu      sync.Mutex
	lines   []string
	open    int           // pipes that are not at EOF
	changed chan struct{} // closed and replaced when lines or open change
}

func newTranscript(pipes int) *transcript {
	return &transcript{open: pipes, changed: make(chan struct{})}
}

// read takes lines from r until EOF, then closes r.
func (tr *transcript) read(r io.ReadCloser) {
	defer func() { _ = r.Close() }()
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadString('\n')
		if line != "" {
			tr.update(func() { tr.lines = append(tr.lines, strings.TrimRight(line, "\r\n")) })
		}
		if err != nil {
			tr.update(func() { tr.open-- })
			return
		}
	}
}

func (tr *transcript) update(f func()) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	f()
	close(tr.changed)
	tr.changed = make(chan struct{})
}

// since returns the lines from index i on, a channel that is closed when there is more to know, and whether every pipe is at EOF.
func (tr *transcript) since(i int) (lines []string, more <-chan struct{}, eof bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.lines[min(i, len(tr.lines)):], tr.changed, tr.open == 0
}

func (tr *transcript) String() string {
	lines, _, _ := tr.since(0)
	return strings.Join(lines, "\n")
}

// matches returns the submatches of re in each line that it matches.
func matches(lines []string, re *regexp.Regexp) [][]string {
	var found [][]string
	for _, line := range lines {
		if m := re.FindStringSubmatch(line); m != nil {
			found = append(found, m)
		}
	}
	return found
}
