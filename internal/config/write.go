package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/musterd/muster/internal/app"
	"go.yaml.in/yaml/v3"
)

// Write is a muster.yaml of these apps: read again, it says the same. Relative names of an app count from its Base, so, unless that is the
// folder of the file, the app has to have an absolute Cwd.
func Write(entries []Entry) ([]byte, error) {
	apps := &yaml.Node{Kind: yaml.SequenceNode}
	for _, e := range entries {
		n, err := writeSpec(e.Spec)
		if err != nil {
			return nil, fmt.Errorf("write app %s: %w", e.Name, err)
		}
		apps.Content = append(apps.Content, n)
	}
	root := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{textNode(keyApps), apps}}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, err
	}
	return b.Bytes(), encoder.Close()
}

// writeSpec is an app in the order of its fields, what is not said left out.
func writeSpec(s app.Spec) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	fields := reflect.ValueOf(s)
	for i := range fields.NumField() {
		key, _, _ := strings.Cut(fields.Type().Field(i).Tag.Get("json"), ",")
		if fields.Field(i).IsZero() {
			continue
		}
		value, err := writeValue(key, fields.Field(i).Interface())
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, textNode(key), value)
	}
	return n, nil
}

// plainWord is a word of a command that means itself, wherever it stands.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

func writeValue(key string, value any) (*yaml.Node, error) {
	if words, ok := value.([]string); ok && key == keyCommand && allPlain(words) {
		return textNode(strings.Join(words, " ")), nil
	}
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	n := doc.Content[0]
	plain(n)
	if text, ok := value.(string); ok && key == "workers" {
		if _, err := strconv.Atoi(text); err == nil {
			n.Tag = "!!int"
		}
	}
	return n, nil
}

func allPlain(words []string) bool {
	for _, word := range words {
		if !plainWord.MatchString(word) {
			return false
		}
	}
	return true
}

// plain takes the style of JSON off, and keeps dollar signs from meaning anything.
func plain(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.Value = strings.ReplaceAll(n.Value, "$", "$$")
	}
	for i, below := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			below.Style = 0
			continue
		}
		plain(below)
	}
}

func textNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}
