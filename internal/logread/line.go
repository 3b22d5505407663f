package logread

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/musterd/muster/internal/logs"
)

// Line is a line of a log file.
type Line struct {
	Time   time.Time   // zero: it has none, and none stands before it
	Source logs.Source // the stream is empty if it is not known, as in a file of lines as they are
	Master bool        // it is the master's own; the Source knows no more than the app
	Part   bool        // it goes on in the next line of its source
	Text   string      // without what stands before it
	Raw    string      // as it stands in the file
}

// noSlot is the slot of who has none.
const noSlot = -1

// Parse takes a line apart, without its newline. What does not have the form that muster writes is a line as it is.
func Parse(raw []byte, app string) Line {
	text := string(raw)
	l := Line{Source: logs.Source{App: app, Slot: noSlot}, Text: text, Raw: text}
	if len(raw) > 0 && raw[0] == '{' {
		l.parseObject(raw)
	} else {
		l.parseText(text)
	}
	return l
}

// parseText reads "TIME api/0 12 out | text", with or without the time.
func (l *Line) parseText(raw string) {
	at, rest := cutTime(raw)
	label, rest, _ := strings.Cut(rest, " ")
	worker, rest, _ := strings.Cut(rest, " ")
	stream, rest, ok := strings.Cut(rest, " ")
	if !ok || len(rest) < 2 || rest[1] != ' ' || rest[0] != '|' && rest[0] != '+' {
		return
	}
	found := Line{Time: at, Source: l.Source, Part: rest[0] == '+', Text: rest[2:], Raw: raw}
	if label == logs.MasterLabel && worker == "-" && stream == "-" {
		found.Master = true
	} else if found.Source, ok = parseSource(label, worker, stream); !ok {
		return
	}
	*l = found
}

func parseSource(label, worker, stream string) (s logs.Source, ok bool) {
	id, err := strconv.ParseUint(worker, 10, 64)
	if err != nil {
		return s, false
	}
	s = logs.Source{Slot: noSlot, Worker: id}
	if s.Stream, ok = logs.LongStream(stream); !ok {
		return s, false
	}
	var slot string
	s.App, slot, ok = strings.Cut(label, "/")
	if ok {
		s.Slot, err = strconv.Atoi(slot)
	}
	return s, err == nil
}

// cutTime takes the time off, if there is one.
func cutTime(raw string) (time.Time, string) {
	if raw == "" || raw[0] < '0' || raw[0] > '9' {
		return time.Time{}, raw
	}
	text, rest, ok := strings.Cut(raw, " ")
	at, err := time.Parse(logs.TimeForm, text)
	if !ok || err != nil {
		return time.Time{}, raw
	}
	return at, rest
}

// object is a line of JSON.
type object struct {
	Time      time.Time `json:"time"`
	App       string    `json:"app"`
	Slot      *int      `json:"slot"`
	Worker    uint64    `json:"worker"`
	PID       int       `json:"pid"`
	Stream    string    `json:"stream"`
	Level     string    `json:"level"`
	Msg       *string   `json:"msg"`
	Continued bool      `json:"continued"`
}

func (l *Line) parseObject(raw []byte) {
	var o object
	if json.Unmarshal(raw, &o) != nil || o.Msg == nil || o.Time.IsZero() {
		return
	}
	switch {
	case o.Stream != "" && o.Slot != nil:
		l.Source = logs.Source{App: o.App, Slot: *o.Slot, Worker: o.Worker, PID: o.PID, Stream: o.Stream}
		l.Text = *o.Msg
	case o.Level != "" && o.Stream == "":
		l.Master, l.Text = true, recordText(raw, o)
	default:
		return
	}
	l.Time, l.Part = o.Time, o.Continued
}

// recordText is a record of the master as it would be in a log of text.
func recordText(raw []byte, o object) string {
	var level slog.Level
	_ = level.UnmarshalText([]byte(o.Level))
	r := slog.NewRecord(o.Time, level, *o.Msg, 0)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	_, _ = d.Token() // the brace; the text is valid JSON
	for d.More() {
		key, _ := d.Token()
		var value any
		if d.Decode(&value) != nil {
			break
		}
		if name, _ := key.(string); name != slog.TimeKey && name != slog.LevelKey && name != slog.MessageKey {
			r.AddAttrs(slog.Any(name, value))
		}
	}
	text := logs.Options{Details: true}.Record(r)
	_, text, _ = strings.Cut(text, " | ")
	return strings.TrimSuffix(text, "\n")
}
