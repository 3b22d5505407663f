package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// Position is a place in a file. Line and Column count from 1; a Line of 0 means the file as a whole, a Column of 0 the line.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String returns "file:line:column", as far as they are known.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Error says what is wrong at a place of a file. Its text is one line; the hint stands apart.
type Error struct {
	Position
	Reason string   `json:"reason"`
	Hint   string   `json:"hint,omitempty"`   // what to write instead; may be empty
	Detail []string `json:"detail,omitempty"` // lines that say more; mostly there are none

	order int // of the file, among those that were read
}

// Error returns "file:line:column: reason".
func (e *Error) Error() string { return e.String() + ": " + e.Reason }

// Errors are all that is wrong, in the order of the files and of the lines in them. There is at least one.
type Errors []*Error

// Error returns a line for each.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Note is what the user should know of a place in a file, though nothing is wrong with it.
type Note struct {
	Position
	Text string `json:"text"`
}

// String returns "file:line:column: text".
func (n Note) String() string { return n.Position.String() + ": " + n.Text }

// Sorted returns the errors in the order of files, then of places, each once: what is wrong with defaults is wrong with every app.
func (e Errors) Sorted() Errors {
	errs := slices.Clone(e)
	slices.SortStableFunc(errs, func(a, b *Error) int {
		return cmp.Or(
			cmp.Compare(a.order, b.order),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Reason, b.Reason),
		)
	})
	return slices.CompactFunc(errs, func(a, b *Error) bool {
		return a.Position == b.Position && a.Reason == b.Reason
	})
}

// reasonOf is the cause of a file system's error, without the path.
func reasonOf(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}

// flag matches a flag in a hint that was written for the command line.
var flag = regexp.MustCompile(`--([a-z][a-z-]*)`)

// WithoutFlags makes the flags of a hint the keys of a file.
func WithoutFlags(hint string) string {
	return flag.ReplaceAllStringFunc(hint, func(f string) string {
		if key := strings.ReplaceAll(f[2:], "-", "_"); specFields[key] != nil {
			return key
		}
		return f
	})
}
