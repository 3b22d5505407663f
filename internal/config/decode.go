package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/musterd/muster/internal/app"
	"go.yaml.in/yaml/v3"
)

// decode sets v to what n says; null sets it to nothing. Maps get the keys of n beside those they have. name is the field, for errors.
func (s *source) decode(v reflect.Value, n *yaml.Node, name string) {
	if isNull(n) {
		v.SetZero()
		return
	}
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		s.decodeText(u, n, name)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		value := reflect.New(v.Type().Elem())
		s.decode(value.Elem(), n, name)
		v.Set(value)
	case reflect.String:
		if text, ok := s.scalar(n, name, "one value"); ok {
			v.SetString(text)
		}
	case reflect.Bool:
		s.decodeBool(v, n, name)
	case reflect.Int, reflect.Int64:
		s.decodeInt(v, n, name)
	case reflect.Slice:
		s.decodeList(v, n, name)
	case reflect.Map:
		s.decodeMap(v, n, name)
	case reflect.Struct:
		s.decodeStruct(v, n, name)
	default:
		panic("config: a field of the type " + v.Type().String() + " cannot be read")
	}
}

// scalar is the text of a node that has to be one value.
func (s *source) scalar(n *yaml.Node, name, wanted string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		s.wrong(n, name, wanted)
		return "", false
	}
	return s.text(n)
}

func (s *source) wrong(n *yaml.Node, name, wanted string) {
	s.fail(s.at(n), fmt.Sprintf("%s wants %s, not %s", name, wanted, kindOf(n)), "")
}

func (s *source) decodeText(u encoding.TextUnmarshaler, n *yaml.Node, name string) {
	text, ok := s.scalar(n, name, "one value")
	if !ok {
		return
	}
	if err := u.UnmarshalText([]byte(text)); err != nil {
		s.refuse(s.at(n), err, name)
	}
}

// refuse takes down an error that is about a field.
func (s *source) refuse(at Position, err error, name string) {
	e, ok := errors.AsType[*app.Error](err)
	if !ok {
		s.fail(at, name+": "+err.Error(), "")
		return
	}
	shown := *e
	if shown.Field == "" {
		shown.Field = name
	}
	s.fail(at, shown.Error(), WithoutFlags(e.Hint))
}

func (s *source) decodeBool(v reflect.Value, n *yaml.Node, name string) {
	text, ok := s.scalar(n, name, "true or false")
	if !ok {
		return
	}
	is, err := strconv.ParseBool(text)
	if err != nil || text != "true" && text != "false" || n.ShortTag() != "!!bool" && !strings.Contains(n.Value, "${") {
		s.wrong(n, name, "true or false")
		return
	}
	v.SetBool(is)
}

func (s *source) decodeInt(v reflect.Value, n *yaml.Node, name string) {
	text, ok := s.scalar(n, name, "a whole number")
	if !ok {
		return
	}
	number, err := strconv.ParseInt(text, 10, v.Type().Bits())
	if err != nil || n.ShortTag() != "!!int" && !strings.Contains(n.Value, "${") {
		s.wrong(n, name, "a whole number")
		return
	}
	v.SetInt(number)
}

// decodeList reads a list; one value is a list of one.
func (s *source) decodeList(v reflect.Value, n *yaml.Node, name string) {
	items := []*yaml.Node{n}
	switch n.Kind {
	case yaml.MappingNode:
		s.wrong(n, name, "one value or a list")
		return
	case yaml.SequenceNode:
		items = n.Content
	default:
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		item = s.follow(item)
		if isNull(item) {
			s.fail(s.at(item), fmt.Sprintf("an item of %s is empty", name), `leave it out, or write ""`)
			continue
		}
		s.decode(list.Index(i), item, name)
	}
	v.Set(list)
}

func (s *source) decodeMap(v reflect.Value, n *yaml.Node, name string) {
	if n.Kind != yaml.MappingNode {
		s.wrong(n, name, "keys and values")
		return
	}
	m := reflect.MakeMap(v.Type())
	for key, value := range v.Seq2() {
		m.SetMapIndex(key, value)
	}
	for _, p := range s.pairs(n) {
		if isNull(p.value) {
			s.fail(s.at(p.at), fmt.Sprintf("%s has no value", p.key), `for an empty one write ""`)
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		s.decode(value, p.value, name+"."+p.key)
		m.SetMapIndex(reflect.ValueOf(p.key).Convert(v.Type().Key()), value)
	}
	v.Set(m)
}

func (s *source) decodeStruct(v reflect.Value, n *yaml.Node, name string) {
	if n.Kind != yaml.MappingNode {
		s.wrong(n, name, "keys and values")
		return
	}
	fields := fieldsOf(v.Type())
	for _, p := range s.pairs(n) {
		index, known := fields[p.key]
		if !known {
			s.fail(s.at(p.at), fmt.Sprintf("%s has no key %q", name, p.key), nearestOr(p.key, sortedKeys(fields), "its keys are ", ""))
			continue
		}
		s.decode(v.FieldByIndex(index), p.value, name+"."+p.key)
	}
}

// fieldsOf returns the fields of a struct by their JSON names.
func fieldsOf(t reflect.Type) map[string][]int {
	fields := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" && f.IsExported() {
			fields[name] = f.Index
		}
	}
	return fields
}

// specFields are the keys of an app.
var specFields = fieldsOf(reflect.TypeFor[app.Spec]())

func sortedKeys[T any](m map[string]T) []string {
	return slices.Sorted(maps.Keys(m))
}
