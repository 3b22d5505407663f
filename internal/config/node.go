package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// source is a file while it is read.
type source struct {
	*reader
	file string // as errors name it
	dir  string // absolute, of the file

	isLiteral bool   // ${NAME} means nothing
	label     string // what is read, for errors whose place is not known
}

// fail takes down that something is wrong.
func (s *source) fail(at Position, reason, hint string) {
	if at.Line == 0 && s.label != "" {
		reason = s.label + ": " + reason
	}
	s.reader.fail(at, reason, hint)
}

// pair is a key and its value, with aliases followed.
type pair struct {
	key   string
	at    *yaml.Node // the key
	value *yaml.Node
}

// at is where a node stands.
func (s *source) at(n *yaml.Node) Position {
	return Position{File: s.file, Line: n.Line, Column: n.Column}
}

// maxAliases bounds what is followed: aliases that stand for each other many times over would never end.
const maxAliases = 10_000

// follow returns what an alias stands for, and any other node as it is.
func (s *source) follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		if s.aliases++; s.aliases > maxAliases {
			if s.aliases == maxAliases+1 {
				s.fail(s.at(n), "too many aliases", "write out what they stand for")
			}
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
		}
		n = n.Alias
	}
	return n
}

// isNull tells whether nothing is written.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// pairs returns what stands in a mapping: its own keys, and those that it merges from others. Keys that stand there twice are errors.
func (s *source) pairs(n *yaml.Node) []pair {
	var own, merged []pair
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, s.merged(value)...)
			continue
		}
		key = s.follow(key)
		if key.Kind != yaml.ScalarNode {
			s.fail(s.at(key), "a key is a word, not "+kindOf(key), "write key: value")
			continue
		}
		if first, twice := seen[key.Value]; twice {
			s.fail(s.at(key), fmt.Sprintf("%s stands here twice, the first time in line %d", key.Value, first.Line), "leave one of them out")
			continue
		}
		seen[key.Value] = key
		own = append(own, pair{key.Value, key, s.follow(value)})
	}
	for _, p := range merged {
		if seen[p.key] == nil {
			seen[p.key] = p.at
			own = append(own, p)
		}
	}
	return own
}

// merged returns the pairs behind a merge key.
func (s *source) merged(n *yaml.Node) []pair {
	n = s.follow(n)
	switch n.Kind {
	case yaml.MappingNode:
		return s.pairs(n)
	case yaml.SequenceNode:
		var all []pair
		for _, one := range n.Content {
			all = append(all, s.merged(one)...)
		}
		return all
	default:
		if !isNull(n) {
			s.fail(s.at(n), "<< takes the keys of a mapping, not those of "+kindOf(n), "write <<: *name, for an anchor &name at a mapping")
		}
		return nil
	}
}

// kindOf says what a node is, for somebody who does not know YAML's words.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping of keys to values"
	case yaml.SequenceNode:
		return "a list"
	default:
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool", "!!int", "!!float":
		return n.Value
	}
	return fmt.Sprintf("the text %q", shorten(n.Value))
}

func shorten(text string) string {
	const most = 40
	if runes := []rune(text); len(runes) > most {
		return strings.TrimSpace(string(runes[:most])) + "…"
	}
	return text
}

// text is the text of a scalar, with ${NAME} expanded.
func (s *source) text(n *yaml.Node) (string, bool) {
	switch {
	case strings.ContainsRune(n.Value, 0):
		s.fail(s.at(n), "the text holds a NUL", "")
		return "", false
	case s.isLiteral:
		return n.Value, true
	case s.isDry && strings.Contains(n.Value, "${"):
		return "", false
	}
	text, reason, hint := expand(n.Value, s.Lookup, nil)
	if reason != "" {
		s.fail(s.at(n), reason, hint)
		return "", false
	}
	return text, true
}
