package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
)

// FuzzYAML reads any text as muster.yaml: what is refused has a place in the file, what is accepted is what app.New accepts.
func FuzzYAML(f *testing.F) {
	for _, seed := range []string{
		"apps:\n  - name: api\n    command: node server.js\n    workers: max\n",
		"defaults: &d {env: {A: \"${PORT}\"}}\napps: {a: {<<: *d, command: [x], watch: true}, b: y z}\n",
		"x-a: &a {<<: [*a, *a]}\napps: [{<<: *a}]",
		"apps:\n- {command: 'a \"b c\" ${N:-d}', environments: {p: {surge: 1}}}",
		"--- !!map\n? apps\n: - !!str x",
		"apps: [*a, &a {command: x}, *a]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { checkAny(t, "muster.yaml", text) })
}

// FuzzJSON reads any text as muster.json.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"apps": [{"name": "api", "command": ["node", "x.js"], "env": {"A": "1"}}]}`, `{"apps": {"a": {"command": "x", "workers": 2, "workers": 3}}}`, "[{},\n{]", "\ufeff{}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { checkAny(t, "muster.json", text) })
}

// checkAny reads a text as a file of that name.
func checkAny(t *testing.T, name, text string) {
	t.Helper()
	if strings.Contains(text, "include") {
		return // what other files say is none of its business
	}
	dir := t.TempDir()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	entries, _, err := config.Load(file, options())
	var errs config.Errors
	if err != nil && !errors.As(err, &errs) {
		t.Fatalf("%q: %v", text, err)
	}
	for _, e := range errs {
		if e.File != file || e.Line < 0 || e.Line > strings.Count(text, "\n")+2 || e.Reason == "" || strings.ContainsRune(e.Reason, '\n') {
			t.Errorf("%q: error %q at line %d", text, e, e.Line)
		}
	}
	names := map[string]bool{}
	for _, e := range entries {
		if _, err := app.New(e.Spec); err != nil || e.Name == "" || names[e.Name] {
			t.Errorf("%q: app %q: %v", text, e.Name, err)
		}
		names[e.Name] = true
	}
}
