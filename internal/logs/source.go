package logs

import "strconv"

// The names of a worker's streams.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Source tells whose lines a pump carries.
type Source struct {
	App    string
	Slot   int    // negative: in no slot, as a spare
	Worker uint64 // the worker's ID
	PID    int
	Stream string // Stdout or Stderr
}

// label is the source's name in text.
func (s Source) label() string {
	if s.Slot < 0 {
		return s.App
	}
	return s.App + "/" + strconv.Itoa(s.Slot)
}
