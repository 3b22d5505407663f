package command

import (
	"slices"
	"strings"
)

// line is a shell's command line, read as far as one can without being a shell.
type line struct {
	words   []word
	literal bool // the words are what the program would get: no expansion, no redirection
	simple  bool // one command, without operators or reserved words
	open    bool // a quote is not closed, or nothing follows the last backslash
	special byte // the first byte that makes it not literal
}

type word struct {
	text   string // quotes removed, expansions as they are
	at     int    // where it begins
	assign bool   // a NAME=value before the command
	quoted bool   // a quoted name is no reserved word and makes no assignment
}

// reserved begin something that is not a simple command.
var reserved = []string{"if", "while", "until", "for", "case", "select", "function", "time", "{", "!", "[["}

// scanner reads a line.
type scanner struct {
	text    string
	at      int
	current strings.Builder
	begin   int // of the current word; -1 between words
	quoted  bool
	out     line
}

// scan splits text into words by the rules of the shell's language (POSIX.1-2024, XCU 2.2 and 2.3).
func scan(text string) line {
	s := &scanner{text: text, begin: -1, out: line{literal: true, simple: true}}
	for s.at < len(s.text) && s.out.simple {
		s.step()
	}
	s.endWord()
	if command := s.out.command(); len(command) > 0 && !command[0].quoted && slices.Contains(reserved, command[0].text) {
		s.out.simple = false
	}
	return s.out
}

// step reads what begins at s.at outside of quotes.
func (s *scanner) step() {
	c := s.text[s.at]
	switch {
	case c == ' ' || c == '\t':
		s.endWord()
	case c == '&' && s.at > 0 && s.text[s.at-1] == '>':
		s.add(c)
	case strings.IndexByte("\n;&|()", c) >= 0:
		s.operator(c)
	case c == '\'':
		s.single()
	case c == '"':
		s.double()
	case c == '\\':
		s.escape()
	case c == '#' && s.begin < 0:
		s.at = len(s.text)
	default:
		if s.isSpecial(c) {
			s.expands(c)
		}
		s.out.simple = s.out.simple && !strings.HasPrefix(s.text[s.at:], "<<")
		s.add(c)
	}
	s.at++
}

// operator ends the command: the line is simple only if nothing but its end follows.
func (s *scanner) operator(c byte) {
	ends := c == ';' || c == '\n'
	s.out.simple = ends && strings.TrimSpace(s.text[s.at+1:]) == ""
	s.endWord()
}

// isSpecial tells whether c begins an expansion or a redirection.
func (s *scanner) isSpecial(c byte) bool {
	return strings.IndexByte("$`*?[<>", c) >= 0 || c == '~' && s.begin < 0
}

// expands takes down that c means more to a shell than itself.
func (s *scanner) expands(c byte) {
	if s.out.literal {
		s.out.literal, s.out.special = false, c
	}
}

func (s *scanner) add(c byte) {
	s.start()
	s.current.WriteByte(c)
}

func (s *scanner) start() {
	if s.begin < 0 {
		s.begin = s.at
	}
}

// single reads to the end of single quotes.
func (s *scanner) single() {
	s.startQuote()
	end := strings.IndexByte(s.text[s.at+1:], '\'')
	if end < 0 {
		s.out.simple, s.out.open = false, true
		return
	}
	s.current.WriteString(s.text[s.at+1 : s.at+1+end])
	s.at += end + 1
}

// double reads to the end of double quotes.
func (s *scanner) double() {
	s.startQuote()
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			return
		case c == '\\' && s.at+1 < len(s.text) && strings.IndexByte("$`\"\\", s.text[s.at+1]) >= 0:
			s.at++
			s.current.WriteByte(s.text[s.at])
		default:
			if c == '$' || c == '`' {
				s.expands(c)
			}
			s.current.WriteByte(c)
		}
	}
	s.out.simple, s.out.open = false, true
}

func (s *scanner) startQuote() {
	s.start()
	if !strings.Contains(s.current.String(), "=") {
		s.quoted = true
	}
}

// escape reads a backslash and what it quotes.
func (s *scanner) escape() {
	s.startQuote()
	if s.at++; s.at == len(s.text) {
		s.out.simple, s.out.open = false, true
		return
	}
	s.current.WriteByte(s.text[s.at])
}

func (s *scanner) endWord() {
	if s.begin < 0 {
		return
	}
	text := s.current.String()
	before := len(s.out.words) == 0 || s.out.words[len(s.out.words)-1].assign
	s.out.words = append(s.out.words, word{text: text, at: s.begin, quoted: s.quoted, assign: before && !s.quoted && isAssignment(text)})
	s.current.Reset()
	s.begin, s.quoted = -1, false
}

// assignments returns the words that set variables.
func (l line) assignments() []word { return l.words[:l.split()] }

// command returns the words behind them.
func (l line) command() []word { return l.words[l.split():] }

// program returns the command without an exec before it.
func (l line) program() []word {
	if command := l.command(); len(command) == 0 || command[0].text != "exec" {
		return command
	}
	return l.command()[1:]
}

func (l line) split() int {
	n := 0
	for n < len(l.words) && l.words[n].assign {
		n++
	}
	return n
}

func texts(words []word) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w.text
	}
	return out
}

// quote returns arg as one word of a shell.
func quote(arg string) string {
	safe := strings.IndexFunc(arg, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-./:=@%+,", r)
	}) < 0
	if safe && arg != "" {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
