package logs

import (
	"fmt"
	"log/slog"
)

// Format is the form of a line in the stream.
type Format string

// The formats.
const (
	FormatText Format = "text" // "api/0 | line" and "muster: record key=value"; for humans
	FormatJSON Format = "json" // one object per line
)

// ParseFormat takes a format by its name; an empty one is text.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case "":
		return FormatText, nil
	case FormatText, FormatJSON:
		return f, nil
	}
	return "", fmt.Errorf("log format %q is neither %s nor %s", name, FormatText, FormatJSON)
}

// minWidth makes the shortest prefix as wide as "muster: ".
const minWidth = len("muster: ") - len(" | ")

// Options are those of a Sink and of a handler, so that both fit together. The zero value is good.
type Options struct {
	Format  Format       // default FormatText
	Color   Color        // default ColorAuto
	Width   int          // columns of the widest label, as "api/10"; narrower ones are padded; at least 5
	Level   slog.Leveler // of a handler; default slog.LevelInfo
	OnError func(error)  // of a Sink: called once when writing begins to fail, and again only after it went well in between
}

func (o Options) width() int { return max(o.Width, minWidth) }
