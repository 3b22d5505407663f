package config

import (
	"encoding"
	"errors"
	"maps"
	"reflect"
	"strings"

	"github.com/musterd/muster/internal/app"
)

// Field is a key of an app, as documents describe it.
type Field struct {
	Name    string   // the key
	Kind    string   // what it takes, in a word or two
	Choices []string // if there are only so many
}

// Fields are the keys of an app, in the order of app.Spec.
func Fields() []Field {
	var fields []Field
	t := reflect.TypeFor[app.Spec]()
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if _, ok := specFields[name]; ok {
			fields = append(fields, Field{Name: name, Kind: kind(f.Type), Choices: choices(f)})
		}
	}
	return fields
}

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

// kind says what a field takes.
func kind(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[app.Duration]():
		return "duration"
	case t == reflect.TypeFor[app.Size]():
		return "size"
	case t == reflect.TypeFor[app.Dependencies]():
		return "list, or names and conditions"
	case reflect.PointerTo(t).Implements(textType):
		return "text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kind(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "keys and values"
	default:
		return "text"
	}
}

// choices are the words that a field may be, as app.New tells them to somebody who wrote another.
func choices(f reflect.StructField) []string {
	if f.Type.Kind() != reflect.String {
		return nil
	}
	spec := app.Spec{Command: []string{"x"}}
	if f.Type == reflect.TypeFor[app.Overlap]() {
		spec.Schedule = "@daily" // what an app without one may not have is refused for that
	}
	reflect.ValueOf(&spec).Elem().FieldByIndex(f.Index).SetString("\x01")
	_, err := app.New(spec)
	e, ok := errors.AsType[*app.Error](err)
	if !ok {
		return nil
	}
	if list, ok := strings.CutPrefix(e.Hint, "choose one of "); ok {
		return strings.Split(list, ", ")
	}
	return nil
}

type object = map[string]any

// Schema is the JSON Schema of muster.yaml and muster.json. describe says what a key of an app is for.
func Schema(describe func(key string) string) object {
	appKeys, shared := object{}, object{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[app.Spec]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if _, ok := specFields[name]; !ok {
			continue
		}
		property := typeSchema(f.Type)
		switch words := choices(f); {
		case name == keyWatch:
			property = anyOf(object{"type": "boolean"}, property)
		case name == keyDependsOn:
			property = anyOf(typeSchema(reflect.TypeFor[[]string]()), property)
		case words != nil:
			property = anyOf(object{"enum": words}, expansion)
		}
		property["description"] = describe(name)
		appKeys[name] = property
		if name != keyName {
			shared[name] = property
		}
	}
	settings := object{"type": []string{"object", "null"}, "properties": shared, "additionalProperties": false}
	environments := object{
		"type": []string{"object", "null"}, "additionalProperties": object{"$ref": "#/$defs/settings"},
		"description": "what is different in an environment, by its name; one is chosen by --environment",
	}
	return object{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "muster.yaml",
		"type":    "object",
		"properties": object{
			keyApps: anyOf(
				object{"type": "array", "items": object{"$ref": "#/$defs/app"}},
				object{"type": []string{"object", "null"}, "additionalProperties": anyOf(object{"type": "string"}, object{"$ref": "#/$defs/app"})},
			),
			keyDefaults: object{"$ref": "#/$defs/defaults", "description": "what every app of this file has, unless it says otherwise"},
			keyInclude:  object{"type": []string{"string", "array"}, "items": object{"type": "string"}, "description": "more app files: names, folders or patterns"},
		},
		"patternProperties":    object{"^x-": object{}},
		"additionalProperties": false,
		"$defs": object{
			"app":      object{"type": "object", "properties": with(appKeys, keyEnvironments, environments), "additionalProperties": false},
			"defaults": object{"type": []string{"object", "null"}, "properties": with(shared, keyEnvironments, environments), "additionalProperties": false},
			"settings": settings,
		},
	}
}

// expansion is what may stand for any value.
var expansion = object{"type": "string", "pattern": `\$\{`}

func anyOf(schemas ...object) object { return object{"anyOf": schemas} }

func with(properties object, key string, value any) object {
	more := object{key: value}
	maps.Copy(more, properties)
	return more
}

// typeSchema is what decode accepts for a type.
func typeSchema(t reflect.Type) object {
	if reflect.PointerTo(t).Implements(textType) {
		return object{"type": []string{"string", "number", "null"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(t.Elem())
	case reflect.Bool:
		return anyOf(object{"type": []string{"boolean", "null"}}, expansion)
	case reflect.Int, reflect.Int64:
		return anyOf(object{"type": []string{"integer", "null"}}, expansion)
	case reflect.Float64:
		return anyOf(object{"type": []string{"number", "null"}}, expansion)
	case reflect.Slice:
		return object{"type": []string{"array", "string", "number", "null"}, "items": object{"type": []string{"string", "number", "boolean"}}}
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": object{"type": []string{"string", "number", "boolean"}}}
	default:
		return object{"type": []string{"string", "number", "boolean", "null"}}
	}
}
