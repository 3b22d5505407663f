package notify

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxErrors  = 4  // of one message; the rest is counted
	maxExcerpt = 64 // bytes of a bad value that an error repeats
)

// Parse reads one datagram: lines of KEY=VALUE. Of a repeated key the last good value counts. A bad value is an error that names
// its key and leaves the other keys alone, so the message is worth using even with an error; only a message that is too long or
// holds a NUL is refused as a whole. BARRIER=1 beside other keys is an error and not set.
func Parse(b []byte) (Message, error) {
	if len(b) > MaxSize {
		return Message{}, fmt.Errorf("message of %d bytes is longer than %d", len(b), MaxSize)
	}
	text := strings.TrimSuffix(string(b), "\x00")
	if strings.IndexByte(text, 0) >= 0 {
		return Message{}, errors.New("message holds a NUL byte")
	}
	var m Message
	var errs errorList
	lines := 0
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			lines++
			errs.add(m.set(line))
		}
	}
	if m.Barrier && lines > 1 {
		m.Barrier = false
		errs.add(errors.New("BARRIER=1: not alone in its message"))
	}
	return m, errs.join()
}

// set takes one line into m.
func (m *Message) set(line string) error {
	key, value, ok := strings.Cut(line, "=")
	if !ok || key == "" {
		return fmt.Errorf("line %s: not KEY=VALUE", excerpt(line))
	}
	parse, known := setters[key]
	if !known {
		m.Unknown = append(m.Unknown, line)
		return nil
	}
	if err := parse(m, value); err != nil {
		return fmt.Errorf("%s=%s: %w", key, excerpt(value), err)
	}
	return nil
}

// setters holds a parser for each known key; a parser that returns an error leaves the message as it was.
var setters = map[string]func(*Message, string) error{
	"READY":               flag(func(m *Message) *bool { return &m.Ready }),
	"STOPPING":            flag(func(m *Message) *bool { return &m.Stopping }),
	"RELOADING":           flag(func(m *Message) *bool { return &m.Reloading }),
	"FDSTORE":             flag(func(m *Message) *bool { return &m.FDStore }),
	"FDSTOREREMOVE":       flag(func(m *Message) *bool { return &m.FDStoreRemove }),
	"BARRIER":             flag(func(m *Message) *bool { return &m.Barrier }),
	"STATUS":              (*Message).setStatus,
	"ERRNO":               number(0, func(m *Message, n int) { m.Errno = n }),
	"MAINPID":             number(1, func(m *Message, n int) { m.MainPID = n }),
	"WATCHDOG":            (*Message).setWatchdog,
	"WATCHDOG_USEC":       micros(func(m *Message, d time.Duration) { m.WatchdogPeriod, m.HasWatchdogPeriod = d, true }),
	"EXTEND_TIMEOUT_USEC": micros(func(m *Message, d time.Duration) { m.ExtendTimeout = d }),
	"FDNAME":              (*Message).setFDName,
	"FDPOLL":              (*Message).setFDPoll,
	"MONOTONIC_USEC":      (*Message).setMonotonic,
}

// flag parses a key whose only meaningful value is 1.
func flag(field func(*Message) *bool) func(*Message, string) error {
	return func(m *Message, value string) error {
		if value != "1" {
			return errors.New("not 1")
		}
		*field(m) = true
		return nil
	}
}

// number parses a decimal from least to the largest 32-bit integer, the range of errno and pid.
func number(least int, set func(*Message, int)) func(*Message, string) error {
	return func(m *Message, value string) error {
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || int(n) < least {
			return fmt.Errorf("not a number from %d to %d", least, math.MaxInt32)
		}
		set(m, int(n))
		return nil
	}
}

// maxMicros is the longest duration in microseconds; a longer one, as systemd's infinity, is cut to it.
const maxMicros = uint64(math.MaxInt64 / int64(time.Microsecond))

func micros(set func(*Message, time.Duration)) func(*Message, string) error {
	return func(m *Message, value string) error {
		n, err := parseMicros(value)
		if err != nil {
			return err
		}
		set(m, time.Duration(min(n, maxMicros))*time.Microsecond)
		return nil
	}
}

func parseMicros(value string) (uint64, error) {
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return 0, errors.New("not a number of microseconds")
	}
	return n, nil
}

func (m *Message) setStatus(value string) error {
	if !utf8.ValidString(value) {
		return errors.New("not valid UTF-8")
	}
	m.Status, m.HasStatus = value, true
	return nil
}

func (m *Message) setWatchdog(value string) error {
	if value != WatchdogPing && value != WatchdogTrigger {
		return errors.New(`neither 1 nor "trigger"`)
	}
	m.Watchdog = value
	return nil
}

func (m *Message) setFDName(value string) error {
	if !ValidName(value) {
		return errBadName
	}
	m.FDName = value
	return nil
}

func (m *Message) setFDPoll(value string) error {
	if value != "0" && value != "1" {
		return errors.New("neither 0 nor 1")
	}
	poll := value == "1"
	m.FDPoll = &poll
	return nil
}

func (m *Message) setMonotonic(value string) error {
	n, err := parseMicros(value)
	if err != nil {
		return err
	}
	m.MonotonicUSec = n
	return nil
}

// excerpt quotes what a stranger sent, cut to a length that a log bears.
func excerpt(s string) string {
	if len(s) > maxExcerpt {
		return strconv.Quote(s[:maxExcerpt]) + "…"
	}
	return strconv.Quote(s)
}

// errorList keeps the first errors and counts the others.
type errorList struct {
	first []error
	more  int
}

func (l *errorList) add(err error) {
	switch {
	case err == nil:
	case len(l.first) < maxErrors:
		l.first = append(l.first, err)
	default:
		l.more++
	}
}

func (l *errorList) join() error {
	if l.more > 0 {
		l.first = append(l.first, fmt.Errorf("and %d more", l.more))
	}
	return errors.Join(l.first...)
}
