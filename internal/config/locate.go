package config

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// keyed is a key in nodes that Node has evaluated, and its value.
type keyed struct{ key, value *yaml.Node }

// locate gives such nodes the places where their keys seem to stand in the text: all of them, if each key is found behind the one before it;
// else those that stand there only once. The others get none.
func locate(root *yaml.Node, text string) {
	var keys []keyed
	collect(root, &keys)
	spans := inOrder(keys, text)
	if spans == nil {
		spans = alone(keys, text)
	}
	for i, k := range keys {
		if spans[i] == nil {
			continue
		}
		setPlace(k.key, text, spans[i][2])
		setPlace(k.value, text, spans[i][1])
		for _, item := range k.value.Content {
			if item.Kind == yaml.ScalarNode && k.value.Kind == yaml.SequenceNode {
				item.Line, item.Column = k.value.Line, k.value.Column
			}
		}
	}
	atFirstKeys(root)
}

// collect takes the places from all nodes, and gathers their keys in order.
func collect(n *yaml.Node, keys *[]keyed) {
	n.Line, n.Column = 0, 0
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			*keys = append(*keys, keyed{child, n.Content[i+1]})
		}
		collect(child, keys)
	}
}

// pattern matches a key and its colon, the key as the first group.
func pattern(key string) *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[\s{,(])(["']?` + regexp.QuoteMeta(key) + `["']?)\s*:\s*`)
}

// inOrder finds each key behind the one before it; nil if there is one that is not there. A span is what the pattern and its group match.
func inOrder(keys []keyed, text string) [][]int {
	spans := make([][]int, len(keys))
	at := 0
	for i, k := range keys {
		m := pattern(k.key.Value).FindStringSubmatchIndex(text[at:])
		if m == nil {
			return nil
		}
		for j := range m {
			m[j] += at
		}
		spans[i], at = m, m[3]
	}
	return spans
}

// alone finds the keys that stand in the text, and among keys, only once.
func alone(keys []keyed, text string) [][]int {
	times := map[string]int{}
	for _, k := range keys {
		times[k.key.Value]++
	}
	spans := make([][]int, len(keys))
	for i, k := range keys {
		if m := pattern(k.key.Value).FindAllStringSubmatchIndex(text, 2); len(m) == 1 && times[k.key.Value] == 1 {
			spans[i] = m[0]
		}
	}
	return spans
}

func setPlace(n *yaml.Node, text string, offset int) {
	before := text[:offset]
	n.Line = strings.Count(before, "\n") + 1
	n.Column = utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
}

// atFirstKeys has each mapping without a place begin where its first key does.
func atFirstKeys(n *yaml.Node) {
	for _, child := range n.Content {
		atFirstKeys(child)
	}
	if n.Kind == yaml.MappingNode && n.Line == 0 && len(n.Content) > 0 {
		n.Line, n.Column = n.Content[0].Line, n.Content[0].Column
	}
}
