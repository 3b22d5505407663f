package logs

import "log/slog"

// Format is the form of a line in the stream.
type Format string

// The formats.
const (
	FormatText Format = "text" // "api/0 | line" and "muster: record key=value"; for humans
	FormatJSON Format = "json" // one object per line
	FormatRaw  Format = "raw"  // the lines of workers as they are; records as text
)

// minWidth makes the shortest prefix as wide as "muster: ".
const minWidth = len("muster: ") - len(" | ")

// Options are those of a Sink and of a handler, so that both fit together. The zero value is good.
type Options struct {
	Format Format // default FormatText
	Color  Color  // default ColorAuto
	Width  int    // columns of the widest label, as "api/10"; narrower ones are padded; at least 5

	// Of text:
	Timestamps bool // each line begins with its time
	Details    bool // and names worker and stream, as files have it
	Journal    bool // each line begins with its priority, for the journal of systemd

	Level   slog.Leveler // of a handler; default slog.LevelInfo
	OnError func(error)  // of a Sink: called once when writing begins to fail, and again only after it went well in between
}

func (o Options) width() int { return max(o.Width, minWidth) }
