package app

import (
	"fmt"
	"strconv"
)

// Error says which field of a spec is wrong, and why. Its text is one line; the hint stands apart, for a line of its own.
type Error struct {
	Field  string // the field's JSON name, as "stop_timeout"; may be empty
	Value  string // what the user wrote; may be empty
	Reason string
	Hint   string // what to do instead; may be empty
}

// maxShown is how many bytes of a wrong value an error repeats.
const maxShown = 100

// Error returns `field "value": reason`.
func (e *Error) Error() string {
	prefix := e.Field
	if e.Value != "" {
		prefix += " " + shown(e.Value)
	}
	if prefix == "" {
		return e.Reason
	}
	return fmt.Sprintf("%s: %s", prefix, e.Reason)
}

func shown(value string) string {
	if len(value) > maxShown {
		return strconv.Quote(value[:maxShown]) + "…"
	}
	return strconv.Quote(value)
}

func invalid(field, value, reason, hint string) *Error {
	return &Error{Field: field, Value: value, Reason: reason, Hint: hint}
}
