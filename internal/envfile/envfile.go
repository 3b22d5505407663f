// Package envfile reads files of NAME=value lines.
//
//	# a comment, and blank lines
//	PORT=3000                 # a comment needs a blank before it
//	export HOST=localhost     # export changes nothing
//	GREETING="hello\n${NAME}" # \n \r \t \" \\ \$ and expansion
//	LITERAL='as ${it} \n is'  # nothing is special
//	URL=http://${HOST}:${PORT:-80}
//	KEY="a quoted value
//	may have many lines"
//
// ${NAME} stands for the value from a line above, else from the environment, else for nothing; ${NAME:-text} for the text where that
// would be empty. A dollar sign without braces stays. The last of several lines for one name counts.
package envfile

import (
	"fmt"
	"strings"
)

// Error says which line is wrong.
type Error struct {
	File   string
	Line   int // from 1
	Reason string
	Hint   string // what to write instead; may be empty
}

// Error returns "file:line: reason".
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason) }

// Parse reads text, the contents of the named file. lookup answers for names that no line above has set; it may be nil.
// The error is an *Error.
func Parse(file, text string, lookup func(name string) (string, bool)) (map[string]string, error) {
	p := &parser{rest: normal(text), line: 1, values: map[string]string{}, lookup: lookup}
	for p.rest != "" {
		if reason, hint := p.entry(); reason != "" {
			return nil, &Error{File: file, Line: p.line, Reason: reason, Hint: hint}
		}
	}
	return p.values, nil
}

// normal drops a byte order mark and the carriage returns of Windows.
func normal(text string) string {
	return strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
}

const assignHint = "write NAME=value"

type parser struct {
	rest   string
	line   int // of what comes next; after a fault, of the fault
	values map[string]string
	lookup func(string) (string, bool)
}

// entry reads one line, or several where a quoted value goes on. The reason is empty unless the line is wrong.
func (p *parser) entry() (reason, hint string) {
	line, _, _ := strings.Cut(p.rest, "\n")
	trimmed := strings.TrimLeft(line, " \t")
	if trimmed == "" || trimmed[0] == '#' {
		p.skip(len(line))
		p.endLine()
		return "", ""
	}
	name, _, found := strings.Cut(line, "=")
	key := strings.TrimSpace(withoutExport(name))
	switch {
	case !found:
		return "there is no = after the name", assignHint
	case !validName(key):
		return fmt.Sprintf("%q is not the name of a variable", key), assignHint
	case strings.ContainsRune(line, 0):
		return "the line holds a NUL", ""
	}
	p.skip(len(name) + 1)
	value, reason, hint := p.value()
	if reason == "" {
		p.values[key] = value
	}
	return reason, hint
}

func withoutExport(name string) string {
	name = strings.TrimSpace(name)
	if rest, ok := strings.CutPrefix(name, "export"); ok && strings.TrimLeft(rest, " \t") != rest {
		return rest
	}
	return name
}

// validName accepts letters, digits, _ . and -, not beginning with a digit.
func validName(name string) bool {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789.-", r)) {
			return false
		}
	}
	return name != ""
}

// skip moves past n bytes and counts the lines in them.
func (p *parser) skip(n int) {
	p.line += strings.Count(p.rest[:n], "\n")
	p.rest = p.rest[n:]
}

func (p *parser) endLine() {
	if p.rest != "" {
		p.skip(1)
	}
}

// value reads what follows the equals sign, to the end of its line.
func (p *parser) value() (value, reason, hint string) {
	p.skip(len(p.rest) - len(strings.TrimLeft(p.rest, " \t")))
	if p.rest != "" && (p.rest[0] == '"' || p.rest[0] == '\'') {
		return p.quoted(p.rest[0])
	}
	line, _, _ := strings.Cut(p.rest, "\n")
	value, reason = p.expand(strings.TrimSpace(withoutComment(line)), false)
	if reason != "" {
		return "", reason, braceHint
	}
	p.skip(len(line))
	p.endLine()
	return value, "", ""
}

func withoutComment(line string) string {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i]
		}
	}
	return line
}

// quoted reads a value in quotes and what may stand behind it: a comment.
func (p *parser) quoted(quote byte) (value, reason, hint string) {
	end := closing(p.rest, quote)
	if end < 0 {
		return "", fmt.Sprintf("the quote %c is not closed", quote), "close it, or put the value into the other kind of quotes"
	}
	value = p.rest[1:end]
	if strings.ContainsRune(value, 0) {
		return "", "the value holds a NUL", ""
	}
	if quote == '"' {
		if value, reason = p.expand(value, true); reason != "" {
			return "", reason, braceHint
		}
	}
	p.skip(end + 1)
	tail, _, _ := strings.Cut(p.rest, "\n")
	if strings.TrimSpace(withoutComment(tail)) != "" {
		return "", "something follows the closing quote", `inside of double quotes write \" for a quote`
	}
	p.skip(len(tail))
	p.endLine()
	return value, "", ""
}

// closing returns the index of the quote that ends text, which begins with one; -1 without.
func closing(text string, quote byte) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == quote:
			return i
		case text[i] == '\\' && quote == '"':
			i++
		}
	}
	return -1
}
