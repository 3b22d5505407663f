package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/command"
	"go.yaml.in/yaml/v3"
)

// place is where a field was written.
type place struct {
	Position
	items map[string]Position // of a list, by their text as it became; of keys and values, by the key
}

// draft is an app while its parts are applied, later ones over earlier.
type draft struct {
	spec   app.Spec
	fields map[string]place
}

func newDraft() *draft { return &draft{fields: map[string]place{}} }

// part is where keys of an app may stand.
type part int

const (
	partApp part = iota
	partDefaults
	partEnvironment
)

// app reads one app. name is the key of a mapping; empty in a list.
func (s *source) app(name string, at Position, n, defaults *yaml.Node) {
	before := len(s.errs)
	d := newDraft()
	if defaults != nil && !isNull(defaults) {
		s.apply(d, defaults, partDefaults)
	}
	if name != "" {
		d.spec.Name = name
		d.fields[keyName] = place{Position: at}
	}
	if name != "" && n.Kind == yaml.ScalarNode && !isNull(n) {
		d.command(s, n)
	} else {
		s.apply(d, n, partApp)
	}
	if name != "" && d.spec.Name != name {
		s.fail(d.fields[keyName].Position, fmt.Sprintf("the app is called %s already, by the key above", name), "leave name out")
	}
	if len(s.errs) == before {
		s.finish(d, at)
	}
}

// apply sets what the keys of n say, and then what they say for the environment.
func (s *source) apply(d *draft, n *yaml.Node, p part) {
	if n.Kind != yaml.MappingNode {
		s.fail(s.at(n), "an app is keys and values, not "+kindOf(n), "write command: node server.js, and what else it needs, on lines of their own")
		return
	}
	var environments *yaml.Node
	for _, field := range s.pairs(n) {
		switch {
		case field.key == keyEnvironments && p != partEnvironment:
			environments = field.value
		case p != partApp && field.key == keyName:
			s.fail(s.at(field.at), "every app has a name of its own", "write name at the app")
		default:
			s.field(d, field)
		}
	}
	if environments != nil && !isNull(environments) {
		s.otherwise(d, environments)
	}
}

func (s *source) field(d *draft, f pair) {
	index, known := specFields[f.key]
	if !known {
		s.fail(s.at(f.at), fmt.Sprintf("an app has no key %q", f.key), fieldHint(f.key))
		return
	}
	d.fields[f.key] = s.placeOf(f.value)
	switch {
	case f.key == keyCommand && f.value.Kind == yaml.ScalarNode && !isNull(f.value):
		d.command(s, f.value)
	case f.key == keyWatch && f.value.ShortTag() == "!!bool":
		d.spec.Watch = nil
		if f.value.Value == "true" {
			d.spec.Watch = []string{"."}
		}
	case f.key == keyDependsOn && f.value.Kind != yaml.MappingNode && !isNull(f.value):
		var names []string
		s.decode(reflect.ValueOf(&names).Elem(), f.value, f.key)
		d.spec.DependsOn = nil
		for _, name := range names {
			d.spec.DependsOn.Add(name, app.ConditionAuto)
		}
	default:
		s.decode(reflect.ValueOf(&d.spec).Elem().FieldByIndex(index), f.value, f.key)
	}
}

func fieldHint(key string) string {
	keys := append(sortedKeys(specFields), keyEnvironments)
	return nearestOr(key, keys, "the keys are ", "")
}

// placeOf is where the value of a field stands.
func (s *source) placeOf(n *yaml.Node) place {
	p := place{Position: s.at(n), items: map[string]Position{}}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			p.items[n.Content[i].Value] = s.at(n.Content[i])
		}
	}
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			item = s.follow(item)
			if text, reason, _ := expand(item.Value, s.Lookup, nil); reason == "" && item.Kind == yaml.ScalarNode {
				p.items[text] = s.at(item)
			}
		}
	}
	return p
}

// command reads a command line. It is split first: what a variable holds is never more than a part of a word.
func (d *draft) command(s *source, n *yaml.Node) {
	d.fields[keyCommand] = place{Position: s.at(n)}
	if _, ok := s.text(n); !ok {
		return
	}
	var values []string
	marked, _, _ := expand(n.Value, s.Lookup, func(value string) string {
		values = append(values, value)
		return fmt.Sprintf("\x00%d\x00", len(values)-1)
	})
	words, err := command.Words(marked)
	if e, ok := errors.AsType[*app.Error](err); ok {
		e.Value = n.Value
		s.refuse(s.at(n), e, keyCommand)
		return
	}
	for i := range words {
		for j, value := range values {
			words[i] = strings.ReplaceAll(words[i], fmt.Sprintf("\x00%d\x00", j), value)
		}
	}
	d.spec.Command = words
}

// otherwise applies the environment that was chosen, and looks the others through.
func (s *source) otherwise(d *draft, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		s.wrong(n, keyEnvironments, "names of environments")
		return
	}
	for _, p := range s.pairs(n) {
		s.environments[p.key] = true
		switch {
		case isNull(p.value):
		case p.key == s.Environment:
			s.apply(d, p.value, partEnvironment)
		default:
			s.isDry = true
			s.apply(newDraft(), p.value, partEnvironment)
			s.isDry = false
		}
	}
}

// finish makes an entry of what was read.
func (s *source) finish(d *draft, at Position) {
	a, err := app.New(d.spec)
	if e, ok := errors.AsType[*app.Error](err); ok {
		s.refuse(Entry{At: at, fields: d.fields}.placeOf(e), e, e.Field)
		return
	}
	if d.spec.Name == "" {
		d.spec.Name = s.nameOf(d.spec, a)
	}
	s.entries = append(s.entries, Entry{Spec: d.spec, Base: s.dir, FileForm: true, At: at, fields: d.fields})
}

// nameOf is the name of an app that was given none: that of the package whose script it runs, else that of its command.
func (s *source) nameOf(spec app.Spec, a app.App) string {
	dir := spec.Cwd
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.dir, dir)
	}
	path, _ := s.Lookup("PATH")
	if c, err := command.Resolve(spec.Command, dir, path, true); err == nil && c.Package != "" {
		return app.DeriveName(filepath.Base(c.Package))
	}
	return a.Name
}

// place is where a field was written, or else the app.
func (e Entry) place(field string) place {
	if p, ok := e.fields[field]; ok {
		return p
	}
	return place{Position: e.At}
}
