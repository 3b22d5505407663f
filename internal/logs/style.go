package logs

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// style is how text looks.
type style struct {
	label                 string // "muster:" and blanks up to the message
	keyOn, warnOn, failOn string
	off                   string
}

// MasterLabel is the label of the master's own lines in a file.
const MasterLabel = "muster"

func newStyle(colored bool, o Options) style {
	const label = "muster:"
	if o.Details {
		return style{label: MasterLabel + " - - | "}
	}
	pad := strings.Repeat(" ", o.width()+len(" | ")-len(label))
	if !colored {
		return style{label: label + pad}
	}
	return style{label: bold + label + reset + pad, keyOn: dim, warnOn: yellow, failOn: red, off: reset}
}

// level names a level other than the usual one.
func (s *style) level(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return s.failOn + "error:" + s.off + " "
	case l >= slog.LevelWarn:
		return s.warnOn + "warning:" + s.off + " "
	case l < slog.LevelInfo:
		return s.keyOn + "debug:" + s.off + " "
	}
	return ""
}

func (s *style) appendAttr(b []byte, groups string, a slog.Attr) []byte {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		return s.appendGroup(b, groups, a.Key, value.Group())
	}
	if a.Key == "" && value.Any() == nil {
		return b
	}
	b = append(b, ' ')
	b = append(b, s.keyOn...)
	b = append(b, quoted(groups+a.Key)...)
	b = append(b, '=')
	b = append(b, s.off...)
	return append(b, quoted(valueText(value))...)
}

func (s *style) appendGroup(b []byte, groups, key string, attrs []slog.Attr) []byte {
	if key != "" {
		groups += key + "."
	}
	for _, a := range attrs {
		b = s.appendAttr(b, groups, a)
	}
	return b
}

func valueText(v slog.Value) string {
	if v.Kind() == slog.KindTime {
		return v.Time().Format(time.RFC3339Nano)
	}
	return v.String()
}

// quoted quotes what would not be read as one word.
func quoted(s string) string {
	odd := func(r rune) bool {
		return r == ' ' || r == '=' || r == '"' || r == unicode.ReplacementChar || !unicode.IsPrint(r)
	}
	if s == "" || strings.ContainsFunc(s, odd) {
		return strconv.Quote(s)
	}
	return s
}

// inLine keeps a message in its line and a terminal in its state.
func inLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
