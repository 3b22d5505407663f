package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// includes reads the files that the key include names.
func (s *source) includes(n *yaml.Node) {
	if n == nil || isNull(n) {
		return
	}
	var patterns []string
	before := len(s.errs)
	s.decode(reflect.ValueOf(&patterns).Elem(), n, keyInclude)
	if len(s.errs) > before {
		return
	}
	for i, pattern := range patterns {
		at := s.at(n)
		if n.Kind == yaml.SequenceNode {
			at = s.at(n.Content[i])
		}
		s.include(pattern, at)
	}
}

// include reads the file, or the files that match the pattern, in the order of their names.
func (s *source) include(pattern string, at Position) {
	file := pattern
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(s.file), pattern)
	}
	if !strings.ContainsAny(pattern, "*?[") {
		s.load(inFolder(file), at)
		return
	}
	files, err := filepath.Glob(file)
	switch {
	case err != nil:
		s.fail(at, fmt.Sprintf("include %q: is not a pattern", pattern), "write a name, or a pattern as apps/*.yaml")
	case len(files) == 0:
		s.note(at, fmt.Sprintf("no file is called as %s", pattern))
	}
	for _, one := range files {
		s.load(one, at)
	}
}
