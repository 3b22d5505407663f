package logs

import (
	"io"
	"os"
	"syscall"

	"golang.org/x/term"
)

// Color says whether text is coloured.
type Color string

// The choices of colour.
const (
	ColorAuto   Color = "auto" // on a terminal, unless NO_COLOR is set or TERM is dumb
	ColorAlways Color = "always"
	ColorNever  Color = "never"
)

// Escape sequences.
const (
	reset  = "\x1b[0m"
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
)

// palette has the colours of slots: easy to tell apart on dark and light ground, and neither red nor yellow, which mean trouble.
var palette = [...]string{
	"\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[92m", "\x1b[95m", "\x1b[94m",
}

// slotColor is always the same for a slot.
func slotColor(slot int) string { return palette[max(slot, 0)%len(palette)] }

// colored reports whether text to w is to be coloured.
func (o Options) colored(w io.Writer, getenv func(string) string) bool {
	switch o.Color {
	case ColorAlways:
		return true
	case ColorNever:
		return false
	default: // ColorAuto
		return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && isTerminal(w)
	}
}

// isTerminal looks through a Sink at what it writes to. It must not call os.File.Fd, which makes the file blocking.
func isTerminal(w io.Writer) bool {
	if s, ok := w.(*Sink); ok {
		return isTerminal(s.w)
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	conn, err := f.SyscallConn()
	return err == nil && controlIsTerminal(conn)
}

func controlIsTerminal(conn syscall.RawConn) (yes bool) {
	err := conn.Control(func(fd uintptr) { yes = term.IsTerminal(int(fd)) })
	return err == nil && yes
}
