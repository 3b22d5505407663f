package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseJSON returns the document in data as the nodes of YAML.
func (s *source) parseJSON(data []byte) (*yaml.Node, bool) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, true
	}
	p := &jsonReader{decoder: json.NewDecoder(bytes.NewReader(data)), data: data}
	p.decoder.UseNumber()
	node, err := p.value()
	if err == nil {
		if _, more := p.token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the end of the document")
		}
	}
	if err == nil {
		return node, true
	}
	at := Position{File: s.file}
	at.Line, at.Column = p.place(p.errorAt(err))
	s.fail(at, "is not JSON here: "+jsonReason(err), "JSON has no comments and no comma before a closing bracket; muster.yaml does without quotes")
	return nil, false
}

func jsonReason(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "the document is not complete"
	}
	return err.Error()
}

// asJSON is a node as JSON, its keys in the order in which they stand there.
func (s *source) asJSON(n *yaml.Node) string {
	quoted := func(text string) string {
		data, _ := json.Marshal(text) // a string always can
		return string(data)
	}
	var parts []string
	switch n.Kind {
	case yaml.AliasNode:
		return s.asJSON(s.follow(n))
	case yaml.SequenceNode:
		for _, item := range n.Content {
			parts = append(parts, s.asJSON(item))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, quoted(n.Content[i].Value)+":"+s.asJSON(n.Content[i+1]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	default:
	}
	switch n.ShortTag() {
	case "!!bool", "!!int", "!!float", "!!null":
		return n.Value
	}
	return quoted(n.Value)
}

// jsonReader makes nodes of tokens.
type jsonReader struct {
	decoder *json.Decoder
	data    []byte
	depth   int
	start   int64 // of the last token
}

// maxDepth bounds how deep values stand in each other.
const maxDepth = 100

func (p *jsonReader) token() (json.Token, error) {
	p.start = p.skip(p.decoder.InputOffset())
	return p.decoder.Token()
}

// errorAt is the offset of what err is about.
func (p *jsonReader) errorAt(err error) int64 {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return p.skip(max(e.Offset-1, 0))
	}
	return p.start
}

// skip is the offset of the next token.
func (p *jsonReader) skip(offset int64) int64 {
	rest := p.data[offset:]
	return offset + int64(len(rest)-len(bytes.TrimLeft(rest, " \t\r\n,:")))
}

// place turns an offset into a line and a column.
func (p *jsonReader) place(offset int64) (line, column int) {
	before := p.data[:min(offset, int64(len(p.data)))]
	line = bytes.Count(before, []byte("\n")) + 1
	return line, len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:]))) + 1
}

func (p *jsonReader) value() (*yaml.Node, error) {
	token, err := p.token()
	if err != nil {
		return nil, err
	}
	node := &yaml.Node{}
	node.Line, node.Column = p.place(p.start)
	switch t := token.(type) {
	case json.Delim:
		return p.many(node, t)
	case nil:
		node.Kind, node.Tag, node.Value = yaml.ScalarNode, "!!null", "null"
	case bool:
		node.Kind, node.Tag, node.Value = yaml.ScalarNode, "!!bool", fmt.Sprint(t)
	case json.Number:
		node.Kind, node.Tag, node.Value = yaml.ScalarNode, numberTag(t), t.String()
	case string:
		node.Kind, node.Tag, node.Value, node.Style = yaml.ScalarNode, "!!str", t, yaml.DoubleQuotedStyle
	}
	return node, nil
}

func numberTag(n json.Number) string {
	if _, err := n.Int64(); err != nil {
		return "!!float"
	}
	return "!!int"
}

// many reads what stands in brackets.
func (p *jsonReader) many(node *yaml.Node, open json.Delim) (*yaml.Node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errors.New("too many brackets stand in each other")
	}
	defer func() { p.depth-- }()
	node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
	if open == '{' {
		node.Kind, node.Tag = yaml.MappingNode, "!!map"
	}
	for p.decoder.More() {
		child, err := p.value()
		if err != nil {
			return nil, err
		}
		node.Content = append(node.Content, child)
	}
	_, err := p.token()
	return node, err
}
