package schedule

import (
	"math/bits"
	"strconv"
	"strings"
)

// set holds the values of a field, a bit each.
type set struct {
	bits uint64
	any  bool // it began with *, or is ?: it does not narrow the days
	full bool // every value
}

func (s set) has(n int) bool { return s.bits&(1<<n) != 0 }

// next is the first value from n on, or -1.
func (s set) next(n int) int {
	rest := s.bits >> n << n
	if rest == 0 {
		return -1
	}
	return bits.TrailingZeros64(rest)
}

// kind is what a field may hold.
type kind struct {
	name     string
	min, max int
	names    []string // of the values from min on
	days     bool     // ? means *
}

var kinds = [fields]kind{
	{name: "second", max: 59},
	{name: "minute", max: 59},
	{name: "hour", max: 23},
	{name: "day of month", min: 1, max: 31, days: true},
	{name: "month", min: 1, max: 12, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
	{name: "day of week", max: 7, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}, days: true},
}

// parseField reads one field: a list of values, ranges and steps.
func (s *Schedule) parseField(i int, w word) error {
	f := &s.set[i]
	f.any = strings.HasPrefix(w.text, "*") || w.text == "?"
	for part, at := range parts(w) {
		if i == dayOfMonth && strings.EqualFold(part, "L") {
			s.last = true
			continue
		}
		if err := f.add(kinds[i], part, at); err != nil {
			return err
		}
	}
	if i == dayOfWeek && f.has(7) { // Sunday is 0 and 7
		f.bits |= 1
	}
	f.full = bits.OnesCount64(f.bits) == kinds[i].max-kinds[i].min+1
	return nil
}

// parts yields the parts between commas with their places.
func parts(w word) func(yield func(string, int) bool) {
	return func(yield func(string, int) bool) {
		at := w.at
		for part := range strings.SplitSeq(w.text, ",") {
			if !yield(part, at) {
				return
			}
			at += len(part) + 1
		}
	}
}

// add adds one part: *, 5, 1-5, 1-5/2, */2 or 5/2.
func (s *set) add(k kind, part string, at int) error {
	wrong := func(reason, hint string) error {
		return &Error{Field: k.name, Position: at, Part: part, Reason: reason, Hint: hint}
	}
	values, stepText, stepped := strings.Cut(part, "/")
	step := 1
	if stepped {
		n, err := strconv.ParseUint(stepText, 10, 8)
		if err != nil || n == 0 || int(n) > k.max {
			return wrong("the step is not a number from 1 to "+strconv.Itoa(k.max), "write */5 for every fifth")
		}
		step = int(n)
	}
	from, to, ok := k.values(values, stepped)
	switch {
	case !ok:
		return wrong("is not "+k.choices(), "write values such as "+k.example()+", or * for all")
	case from > to:
		return wrong("the range ends before it begins", "write two ranges with a comma between them")
	}
	for n := from; n <= to; n += step {
		s.bits |= 1 << n
	}
	return nil
}

// values is the range that a text without its step means.
func (k kind) values(text string, stepped bool) (from, to int, ok bool) {
	if text == "*" || text == "?" && k.days {
		return k.min, k.last(), true
	}
	first, second, isRange := strings.Cut(text, "-")
	from, ok = k.value(first)
	switch {
	case !ok:
		return 0, 0, false
	case isRange:
		to, ok = k.value(second)
		return from, to, ok
	case stepped:
		return from, k.last(), true
	}
	return from, from, true
}

// last is the largest value of *: Sunday is there once.
func (k kind) last() int {
	if k.max == 7 {
		return 6
	}
	return k.max
}

func (k kind) value(text string) (int, bool) {
	for i, name := range k.names {
		if strings.EqualFold(name, text) {
			return k.min + i, true
		}
	}
	n, err := strconv.ParseUint(text, 10, 8)
	return int(n), err == nil && int(n) >= k.min && int(n) <= k.max
}

func (k kind) choices() string {
	text := "a number from " + strconv.Itoa(k.min) + " to " + strconv.Itoa(k.max)
	if k.names != nil {
		text += " or a name from " + k.names[0] + " to " + k.names[len(k.names)-1]
	}
	return text
}

func (k kind) example() string {
	if k.names != nil {
		return k.names[0] + ", " + k.names[0] + "-" + k.names[2]
	}
	return "1, 1-5, */10"
}

func number(n int) string {
	if n == 1 {
		return "1 field"
	}
	return strconv.Itoa(n) + " fields"
}
