package app

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes that reads and writes as "512M"; a bare number counts bytes. K, M, G and T are powers of 1024, with or without
// B or iB behind them. Zero means "not given": it is written as the empty text and cannot be asked for. It is a pflag.Value.
type Size int64

const (
	sizeHint  = "write a number with a unit, as 512M or 1.5G; a bare number counts bytes"
	sizeUnits = "KMGT"
)

// ParseSize reads a positive size.
func ParseSize(text string) (Size, error) {
	bytes, ok := parseBytes(text)
	switch {
	case !ok:
		return 0, invalid("", text, "is not a size", sizeHint)
	case bytes < 1:
		return 0, invalid("", text, "must be more than zero", sizeHint)
	case bytes >= math.MaxInt64:
		return 0, invalid("", text, "is more than any machine has", sizeHint)
	}
	return Size(bytes), nil
}

// parseBytes reads a number with an optional unit.
func parseBytes(text string) (float64, bool) {
	number := strings.ToUpper(strings.TrimSpace(text))
	number = strings.TrimSuffix(strings.TrimSuffix(number, "B"), "I")
	factor := 1.0
	if n := len(number); n > 0 {
		if unit := strings.IndexByte(sizeUnits, number[n-1]); unit >= 0 {
			number, factor = number[:n-1], math.Pow(1024, float64(unit+1))
		}
	}
	if number == "" || strings.Trim(number, "0123456789.") != "" {
		return 0, false
	}
	value, err := strconv.ParseFloat(number, 64)
	return value * factor, err == nil
}

// Bytes returns s as a plain number.
func (s Size) Bytes() int64 { return int64(s) }

// String returns s with the largest unit that leaves a whole number: "512M", "1536M", "1000".
func (s Size) String() string {
	unit := -1
	for s != 0 && s%1024 == 0 && unit < len(sizeUnits)-1 {
		s, unit = s/1024, unit+1
	}
	text := strconv.FormatInt(int64(s), 10)
	if unit >= 0 {
		text += sizeUnits[unit : unit+1]
	}
	return text
}

// Set reads text into s.
func (s *Size) Set(text string) error {
	parsed, err := ParseSize(text)
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// Type returns the word that stands for a value in a flag's help.
func (s *Size) Type() string { return "size" }

// MarshalText writes s as String does, zero as the empty text.
func (s Size) MarshalText() ([]byte, error) {
	if s == 0 {
		return nil, nil
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads what MarshalText writes, and bare bytes. YAML scalars of either kind come this way too.
func (s *Size) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = 0
		return nil
	}
	return s.Set(string(text))
}

// UnmarshalJSON reads a string, or a number of bytes; null leaves s as it is.
func (s *Size) UnmarshalJSON(data []byte) error {
	text, err := scalar(data)
	if err != nil || text == "null" {
		return err
	}
	return s.UnmarshalText([]byte(text))
}

// scalar is the text of a JSON string, or that of a number as it stands.
func scalar(data []byte) (string, error) {
	if data[0] != '"' {
		return string(data), nil
	}
	var text string
	err := json.Unmarshal(data, &text)
	return text, err
}
