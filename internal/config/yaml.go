package config

import (
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML returns the only document in data; nil if there is none.
func (s *source) parseYAML(data []byte) (*yaml.Node, bool) {
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, second yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, true
	case err != nil:
		s.syntax(err, data)
		return nil, false
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return doc.Content[0], true
	case err != nil:
		s.syntax(err, data)
	default:
		s.fail(s.at(&second), "a second document begins here", "one file has one; use include for more files")
	}
	return nil, false
}

var (
	// yamlLine finds the line in what the library says. There is no column, and no line if it is the first.
	yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	// fromZero matches where the library counts lines from 0: in what its parser finds, as opposed to its scanner.
	fromZero = regexp.MustCompile(`^did not find expected (<|node content|key|'-' indicator|',' or)`)
	// unknown matches an alias without an anchor; that has no line either.
	unknown = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)
)

func (s *source) syntax(err error, data []byte) {
	text, _, _ := strings.Cut(err.Error(), "\n")
	at := Position{File: s.file, Line: 1}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		if line, err := strconv.Atoi(m[1]); err == nil {
			at.Line = line
		}
		text = text[len(m[0]):]
		if m[1] != "" && fromZero.MatchString(text) {
			at.Line++
		}
	}
	if m := unknown.FindStringSubmatch(text); m != nil {
		before, _, _ := strings.Cut(string(data), "*"+m[1])
		at.Line = strings.Count(before, "\n") + 1
	}
	s.fail(at, "is not YAML here: "+text, yamlHint(text))
}

func yamlHint(text string) string {
	switch {
	case strings.Contains(text, "cannot start any token"):
		return "indent with blanks, not with tabs; put a text that begins with %, @, ` or a bracket into quotes"
	case strings.Contains(text, "mapping values are not allowed"):
		return "put a text with a colon and a blank in it into quotes; look at the indentation"
	case strings.Contains(text, "did not find expected"):
		return "look at the lines before, too: at their indentation, and for a quote or bracket that is not closed"
	case strings.Contains(text, "unknown anchor"):
		return "an anchor, as &name, stands before what uses it, as *name"
	}
	return ""
}
