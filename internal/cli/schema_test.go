package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/musterd/muster/internal/cli"
	"go.yaml.in/yaml/v3"
)

// validator knows as much of JSON Schema as muster.schema.json uses.
type validator struct{ root map[string]any }

func (v validator) check(schema map[string]any, value any, at string) (errs []string) {
	for key, rule := range schema {
		switch key {
		case "$ref":
			name := strings.TrimPrefix(rule.(string), "#/$defs/")
			errs = append(errs, v.check(v.root["$defs"].(map[string]any)[name].(map[string]any), value, at)...)
		case "type":
			if types := fmt.Sprint(rule); !slices.ContainsFunc(kinds(value), func(k string) bool { return slices.Contains(strings.Fields(strings.Trim(types, "[]")), k) }) {
				errs = append(errs, fmt.Sprintf("%s: %v is none of %s", at, value, types))
			}
		case "enum":
			if !slices.Contains(rule.([]any), value) {
				errs = append(errs, fmt.Sprintf("%s: %v is none of %v", at, value, rule))
			}
		case "pattern":
			if text, ok := value.(string); ok && !regexp.MustCompile(rule.(string)).MatchString(text) {
				errs = append(errs, fmt.Sprintf("%s: %q does not match", at, text))
			}
		case "anyOf":
			errs = append(errs, v.anyOf(rule.([]any), value, at)...)
		case "items":
			list, _ := value.([]any)
			for i, item := range list {
				errs = append(errs, v.check(rule.(map[string]any), item, fmt.Sprintf("%s[%d]", at, i))...)
			}
		}
	}
	if object, ok := value.(map[string]any); ok {
		errs = append(errs, v.object(schema, object, at)...)
	}
	return errs
}

func (v validator) anyOf(schemas []any, value any, at string) (errs []string) {
	for _, one := range schemas {
		if errs = v.check(one.(map[string]any), value, at); len(errs) == 0 {
			return nil
		}
	}
	return errs
}

func (v validator) object(schema, object map[string]any, at string) (errs []string) {
	properties, _ := schema["properties"].(map[string]any)
	others, hasOthers := schema["additionalProperties"]
	patterns, _ := schema["patternProperties"].(map[string]any)
	for key, value := range object {
		property, known := properties[key].(map[string]any)
		other, isSchema := others.(map[string]any)
		switch {
		case known:
			errs = append(errs, v.check(property, value, at+"."+key)...)
		case patterns["^x-"] != nil && strings.HasPrefix(key, "x-"):
		case isSchema:
			errs = append(errs, v.check(other, value, at+"."+key)...)
		case hasOthers:
			errs = append(errs, at+": unknown key "+key)
		}
	}
	return errs
}

func kinds(value any) []string {
	switch n := value.(type) {
	case nil:
		return []string{"null"}
	case bool:
		return []string{"boolean"}
	case string:
		return []string{"string"}
	case int:
		return []string{"integer", "number"}
	case float64:
		return []string{"number"}
	default:
		return map[reflect.Kind][]string{reflect.Slice: {"array"}, reflect.Map: {"object"}}[reflect.TypeOf(n).Kind()]
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	data, err := cli.SchemaJSON()
	if err != nil {
		t.Fatal(err)
	}
	var v validator
	if err := json.Unmarshal(data, &v.root); err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("../../examples/muster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, text string
		ok         bool
	}{
		{"example", string(example), true},
		{"list", "apps: [{name: a, command: [x, 1], surge: 2, watch: true, log_rotate: false, env: {A: 1}}]\nx-y: {a: b}", true},
		{"names", "apps: {a: x, b: {command: x, listen: ':1', surge: '${N}', handoff: node, balance: '${B}'}}\ninclude: a.yaml", true},
		{"defaults", "defaults: {workers: 2, environments: {p: {workers: max, env: null}}}\napps:", true},
		{"unknown key", "apps: {a: {comand: x}}", false},
		{"unknown key of the file", "app: {}", false},
		{"unknown word", "apps: {a: {command: x, handoff: inhert}}", false},
		{"wrong type", "apps: {a: {command: x, surge: two}}", false},
		{"not yes", "apps: {a: {command: x, job: 'yes'}}", false},
		{"name for all", "defaults: {name: x}", false},
		{"in an environment", "apps: {a: {command: x, environments: {p: {wrkers: 1}}}}", false},
	}
	for _, test := range tests {
		var value any
		if err := yaml.Unmarshal([]byte(test.text), &value); err != nil {
			t.Fatal(err)
		}
		if errs := v.check(v.root, value, ""); (len(errs) == 0) != test.ok {
			t.Errorf("%s: %v", test.name, errs)
		}
	}
}
