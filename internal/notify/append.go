package notify

import (
	"strconv"
	"strings"
	"time"
)

// Append adds the message as it goes over the wire to b. A Barrier travels alone, without the other fields. What the protocol
// cannot carry is changed or left out: newlines and NULs in Status become spaces and invalid UTF-8 U+FFFD, durations lose what is
// below a microsecond, and negative numbers, names that are no ValidName and Unknown lines that would not be read back as they
// are, are left out. The result may be longer than MaxSize; Send refuses it then.
func (m Message) Append(b []byte) []byte {
	e := encoder{b: b, start: len(b)}
	if m.Barrier {
		e.flag("BARRIER", true)
		return e.b
	}
	m.appendState(&e)
	m.appendWatchdog(&e)
	m.appendStore(&e)
	for _, line := range m.Unknown {
		if passable(line) {
			e.line(line)
		}
	}
	return e.b
}

func (m Message) appendState(e *encoder) {
	e.flag("READY", m.Ready)
	e.flag("STOPPING", m.Stopping)
	e.flag("RELOADING", m.Reloading)
	e.number("MONOTONIC_USEC", m.MonotonicUSec)
	if m.HasStatus || m.Status != "" {
		e.put("STATUS", oneLine(m.Status))
	}
	e.number("ERRNO", uint64(max(m.Errno, 0)))
	e.number("MAINPID", uint64(max(m.MainPID, 0)))
}

func (m Message) appendWatchdog(e *encoder) {
	if m.Watchdog == WatchdogPing || m.Watchdog == WatchdogTrigger {
		e.put("WATCHDOG", m.Watchdog)
	}
	if m.HasWatchdogPeriod && m.WatchdogPeriod < time.Microsecond {
		e.put("WATCHDOG_USEC", "0")
	}
	e.number("WATCHDOG_USEC", uint64(max(m.WatchdogPeriod.Microseconds(), 0)))
	e.number("EXTEND_TIMEOUT_USEC", uint64(max(m.ExtendTimeout.Microseconds(), 0)))
}

func (m Message) appendStore(e *encoder) {
	e.flag("FDSTORE", m.FDStore)
	e.flag("FDSTOREREMOVE", m.FDStoreRemove)
	if m.FDName != "" && ValidName(m.FDName) {
		e.put("FDNAME", m.FDName)
	}
	if m.FDPoll != nil {
		e.put("FDPOLL", map[bool]string{false: "0", true: "1"}[*m.FDPoll])
	}
}

// passable reports whether Parse would put line into Unknown.
func passable(line string) bool {
	key, _, ok := strings.Cut(line, "=")
	_, known := setters[key]
	return ok && key != "" && !known && !strings.ContainsAny(line, "\n\x00")
}

var lineBreaks = strings.NewReplacer("\n", " ", "\x00", " ")

func oneLine(s string) string {
	return lineBreaks.Replace(strings.ToValidUTF8(s, "\uFFFD"))
}

// encoder puts newlines between lines; none follows the last.
type encoder struct {
	b     []byte
	start int
}

func (e *encoder) line(s string) {
	if len(e.b) > e.start {
		e.b = append(e.b, '\n')
	}
	e.b = append(e.b, s...)
}

func (e *encoder) put(key, value string) { e.line(key + "=" + value) }

func (e *encoder) flag(key string, set bool) {
	if set {
		e.put(key, "1")
	}
}

func (e *encoder) number(key string, n uint64) {
	if n > 0 {
		e.put(key, strconv.FormatUint(n, 10))
	}
}
