package app

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that reads and writes as "10s"; a bare number counts milliseconds, "30d" days.
// Zero means "not given": it is written as the empty text and cannot be asked for. It is a pflag.Value.
type Duration time.Duration

const durationHint = "write a number with a unit, as 10s, 500ms, 2m or 30d; a bare number counts milliseconds"

// ParseDuration reads a positive duration.
func ParseDuration(text string) (Duration, error) {
	d, err := parsePositive(strings.TrimSpace(text))
	if err != nil {
		return 0, err
	}
	return Duration(d), nil
}

func parsePositive(text string) (time.Duration, error) {
	d, ok := parseAny(text)
	switch {
	case !ok:
		return 0, invalid("", text, "is not a duration", durationHint)
	case d <= 0:
		return 0, invalid("", text, "must be longer than zero", "the shortest that makes sense is 1ms")
	}
	return d, nil
}

func parseAny(text string) (time.Duration, bool) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(ms) * time.Millisecond, ms <= math.MaxInt64/int64(time.Millisecond)
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		return time.Duration(n) * day, err == nil && n >= 0 && n <= math.MaxInt64/int64(day)
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

const day = 24 * time.Hour

// Duration returns d as the standard library's type.
func (d Duration) Duration() time.Duration { return time.Duration(d) }

// String returns d in its shortest form: "10s", "1m", "1h30m"; zero is "0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Set reads text into d.
func (d *Duration) Set(text string) error {
	parsed, err := ParseDuration(text)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Type returns the word that stands for a value in a flag's help.
func (d *Duration) Type() string { return "duration" }

// MarshalText writes d as String does, zero as the empty text.
func (d Duration) MarshalText() ([]byte, error) {
	if d == 0 {
		return nil, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what MarshalText writes, and bare milliseconds. YAML scalars of either kind come this way too.
func (d *Duration) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = 0
		return nil
	}
	return d.Set(string(text))
}

// UnmarshalJSON reads a string, or a number of milliseconds; null leaves d as it is.
func (d *Duration) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	if data[0] != '"' {
		return d.Set(string(data))
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	return d.UnmarshalText([]byte(text))
}
