package schedule

import "fmt"

// Error says what is wrong with an expression, and where.
type Error struct {
	Field    string // minute, hour, …; empty: the expression as a whole
	Position int    // of the first byte of what is wrong, from 1
	Part     string // what is wrong
	Reason   string
	Hint     string
}

// Error returns `hour "25" at position 3: …`.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return fmt.Sprintf("%s %q at position %d: %s", e.Field, e.Part, e.Position, e.Reason)
}
