package config

import (
	"fmt"
	"regexp"
	"strings"
)

const expandHint = "write ${NAME}, ${NAME:-text} for a text where it is not set, or $$ for a dollar sign"

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces ${NAME}, ${NAME:-text} and $$ in text; any other dollar sign stays. put is given each value and returns what stands for
// it in the result; nil: the value. The reason is empty unless something is wrong.
func expand(text string, lookup func(string) (string, bool), put func(string) string) (result, reason, hint string) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return b.String(), "", ""
		}
		value, rest, reason, hint := dollar(rest, lookup)
		switch {
		case reason != "":
			return "", reason, hint
		case value != nil && put != nil:
			b.WriteString(put(*value))
		case value != nil:
			b.WriteString(*value)
		default:
			b.WriteByte('$')
		}
		text = rest
	}
}

// dollar reads what follows a dollar sign. The value is nil if that stands for itself.
func dollar(text string, lookup func(string) (string, bool)) (value *string, rest, reason, hint string) {
	if rest, ok := strings.CutPrefix(text, "$"); ok {
		sign := "$"
		return &sign, rest, "", ""
	}
	rest, ok := strings.CutPrefix(text, "{")
	if !ok {
		return nil, text, "", ""
	}
	body, rest, ok := strings.Cut(rest, "}")
	if !ok {
		return nil, "", "the brace after $ is not closed", expandHint
	}
	name, fallback, hasFallback := strings.Cut(body, ":-")
	switch {
	case strings.Contains(fallback, "${"):
		return nil, "", "one ${…} cannot stand in another", expandHint
	case !variableName.MatchString(name):
		return nil, "", fmt.Sprintf("${%s} names no variable", body), expandHint
	}
	v, ok := lookup(name)
	switch {
	case hasFallback && v == "":
		v = fallback
	case !ok && !hasFallback:
		return nil, "", "the variable " + name + " is not set", fmt.Sprintf("set it, or write ${%s:-text} for what stands in its place", name)
	}
	return &v, rest, "", ""
}
