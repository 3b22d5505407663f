package logs

import "strconv"

// The names of a worker's streams.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Streams are short in files.
const (
	shortOut = "out"
	shortErr = "err"
)

// LongStream is the name of the stream that is called short in files.
func LongStream(short string) (string, bool) {
	switch short {
	case shortOut:
		return Stdout, true
	case shortErr:
		return Stderr, true
	}
	return "", false
}

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
