package schedule

import (
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones are known where the system has no list of them, as in a container from scratch
)

// Schedule is a parsed expression with its zone. It is immutable.
type Schedule struct {
	text string
	zone *time.Location
	set  [fields]set
	last bool // L: the last day of a month
}

// The fields, in the order of an expression with seconds.
const (
	second = iota
	minute
	hour
	dayOfMonth
	month
	dayOfWeek
	fields
)

const formHint = `write minute, hour, day of month, month and day of week, as "0 3 * * *" for 3 o'clock each day`

// macros stand for whole expressions.
var macros = map[string]string{
	"@yearly": "0 0 0 1 1 *", "@annually": "0 0 0 1 1 *", "@monthly": "0 0 0 1 * *", "@weekly": "0 0 0 * * 0",
	"@daily": "0 0 0 * * *", "@midnight": "0 0 0 * * *", "@hourly": "0 0 * * * *",
}

// Parse reads an expression. zone is where its hours count unless it says so itself by CRON_TZ=; nil is the local zone. The error is an
// *Error.
func Parse(text string, zone *time.Location) (*Schedule, error) {
	if zone == nil {
		zone = time.Local
	}
	s := &Schedule{text: strings.Join(strings.Fields(text), " "), zone: zone}
	words, err := s.takeZone(split(text))
	if err != nil {
		return nil, err
	}
	if words, err = completed(words); err != nil {
		return nil, err
	}
	for i, w := range words {
		if err := s.parseField(i, w); err != nil {
			return nil, err
		}
	}
	if s.Next(reference).IsZero() {
		return nil, &Error{Reason: "it is never due: no such day exists", Hint: "the day of the month and the month do not go together"}
	}
	return s, nil
}

// reference is any moment; every day that exists at all comes within eight years, 1 March 2096 to 29 February 2104 being the longest wait.
var reference = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// LoadZone returns the zone with that name, as Europe/Berlin, UTC or Local; empty is the local zone. The error is an *Error.
func LoadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.Local, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, &Error{Reason: "is not a time zone", Hint: "write a name such as Europe/Berlin, UTC or Local"}
	}
	return zone, nil
}

// String returns the expression in one form, and its zone if that is not the local one, so that Parse makes the same schedule of it.
func (s *Schedule) String() string {
	if s.zone == time.Local || strings.HasPrefix(s.text, "CRON_TZ=") || strings.HasPrefix(s.text, "TZ=") {
		return s.text
	}
	return "CRON_TZ=" + s.zone.String() + " " + s.text
}

// Equal tells whether both are due at the same times.
func (s *Schedule) Equal(o *Schedule) bool {
	return s == nil && o == nil || s != nil && o != nil && s.String() == o.String()
}

// Zone is where the hours count.
func (s *Schedule) Zone() *time.Location { return s.zone }

// MarshalText writes what String says.
func (s *Schedule) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Schedule) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text), nil)
	if err != nil {
		return err
	}
	*s = *parsed
	return nil
}

// word is a part of the text with its place in it.
type word struct {
	text string
	at   int // from 1
}

func split(text string) []word {
	var words []word
	start := -1
	for i, r := range text + " " {
		switch blank := strings.ContainsRune(" \t\r\n\v\f", r); {
		case blank && start >= 0:
			words = append(words, word{text[start:i], start + 1})
			start = -1
		case !blank && start < 0:
			start = i
		}
	}
	return words
}

// takeZone reads CRON_TZ= in front of the fields.
func (s *Schedule) takeZone(words []word) ([]word, error) {
	if len(words) == 0 {
		return words, nil
	}
	name, ok := strings.CutPrefix(strings.TrimPrefix(words[0].text, "CRON_"), "TZ=")
	if !ok {
		return words, nil
	}
	zone, err := LoadZone(name)
	if err != nil || name == "" {
		return nil, &Error{
			Field: "time zone", Position: words[0].at, Part: name, Reason: "is not known", Hint: "write a name such as Europe/Berlin, UTC or Local",
		}
	}
	s.zone = zone
	return words[1:], nil
}

// completed returns six fields.
func completed(words []word) ([]word, error) {
	if len(words) == 1 && strings.HasPrefix(words[0].text, "@") {
		text, ok := macros[strings.ToLower(words[0].text)]
		if !ok {
			return nil, &Error{
				Field: "schedule", Position: words[0].at, Part: words[0].text, Reason: "is not known",
				Hint: "the names are @hourly, @daily, @weekly, @monthly and @yearly; every five minutes is */5 * * * *",
			}
		}
		return split(text), nil
	}
	switch len(words) {
	case fields:
		return words, nil
	case fields - 1:
		return slices.Insert(slices.Clone(words), 0, word{"0", 1}), nil
	case 0:
		return nil, &Error{Reason: "is empty", Hint: formHint}
	}
	return nil, &Error{Reason: "has " + number(len(words)) + ", not 5 (or 6 with seconds)", Hint: formHint}
}
