package envfile

import "strings"

const braceHint = `write ${NAME} or ${NAME:-text}; for a dollar sign before a brace write \$, or use single quotes`

var escapes = map[byte]string{'n': "\n", 'r': "\r", 't': "\t", '"': `"`, '\\': `\`, '$': "$"}

// expand replaces ${NAME}, and escapes: all of them in double quotes, elsewhere only \$. The reason is empty unless a brace is wrong.
func (p *parser) expand(text string, escaped bool) (value, reason string) {
	var b strings.Builder
	for text != "" {
		i := strings.IndexAny(text, `\$`)
		if i < 0 || i == len(text)-1 {
			break
		}
		b.WriteString(text[:i])
		var chunk string
		if chunk, text, reason = p.special(text[i:], escaped); reason != "" {
			return "", reason
		}
		b.WriteString(chunk)
	}
	return b.String() + text, ""
}

// special reads a backslash or a dollar sign, and what belongs to it, from the front of text, which has at least two bytes.
func (p *parser) special(text string, escaped bool) (value, rest, reason string) {
	switch {
	case text[0] == '\\':
		if to, ok := escapes[text[1]]; ok && (escaped || text[1] == '$') {
			return to, text[2:], ""
		}
	case text[1] == '{':
		body, rest, found := strings.Cut(text[2:], "}")
		if !found {
			return "", "", "the brace after $ is not closed"
		}
		value, reason := p.reference(body)
		return value, rest, reason
	}
	return text[:1], text[1:], ""
}

// reference returns what stands for ${body}.
func (p *parser) reference(body string) (value, reason string) {
	name, fallback, _ := strings.Cut(body, ":-")
	if !validName(name) {
		return "", "${" + body + "} names no variable"
	}
	value, ok := p.values[name]
	if !ok && p.lookup != nil {
		value, _ = p.lookup(name)
	}
	if value == "" {
		value = fallback
	}
	return value, ""
}
