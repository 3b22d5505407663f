package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
)

// write puts files into a folder of their own: texts by their names.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func environment(name string) (string, bool) {
	value, ok := map[string]string{"PORT": "3000", "TWO": "a b", "N": "4", "EMPTY": "", "YES": "true"}[name]
	return value, ok
}

// options are those of a test that asks for none.
func options() config.Options { return config.Options{Lookup: environment} }

// load reads the text as muster.yaml.
func load(t *testing.T, text string, o config.Options) ([]config.Entry, []config.Note, error) {
	t.Helper()
	return config.Load(filepath.Join(write(t, map[string]string{"muster.yaml": text}), "muster.yaml"), o)
}

func specs(entries []config.Entry) []app.Spec {
	out := make([]app.Spec, len(entries))
	for i, e := range entries {
		out[i] = e.Spec
	}
	return out
}

func TestLoad(t *testing.T) {
	t.Parallel()
	five := 5
	tests := []struct {
		name, text string
		want       []app.Spec
	}{
		{"list", "apps:\n  - name: api\n    command: node server.js --port 1\n    workers: 4\n    listen: ':3000'\n", []app.Spec{
			{Name: "api", Command: []string{"node", "server.js", "--port", "1"}, Workers: "4", Listen: []string{":3000"}},
		}},
		{"names", "apps:\n  b: {command: [node, b.js]}\n  a: node 'my file.js'\n", []app.Spec{
			{Name: "b", Command: []string{"node", "b.js"}}, {Name: "a", Command: []string{"node", "my file.js"}},
		}},
		{"name of the command", "apps: [{command: node server.js}]", []app.Spec{{Name: "server", Command: []string{"node", "server.js"}}}},
		{"types", `
apps:
  - name: t
    command: x
    start_timeout: 1500
    stop_timeout: 1m30s
    max_memory: 512M
    max_restarts: 5
    surge: 2
    watch: true
    env: {A: 1, B: true, C: "x y", D: 1.50, E: 0x10}
    log_rotate: false
    listen: [':1', unix:/run/x.sock]
`, []app.Spec{{
			Name: "t", Command: []string{"x"}, StartTimeout: app.Duration(1500e6), StopTimeout: app.Duration(90e9), MaxMemory: 512 << 20, MaxRestarts: &five, Surge: 2,
			Watch: []string{"."}, Env: map[string]string{"A": "1", "B": "true", "C": "x y", "D": "1.50", "E": "0x10"}, LogRotate: new(bool), Listen: []string{":1", "unix:/run/x.sock"},
		}}},
		{"defaults", `
defaults:
  workers: 2
  env: {A: default, B: default}
  watch: true
  environments: {production: {workers: 3}}
apps:
  - {name: a, command: x, env: {B: own, C: own}}
  - {name: b, command: x, workers: max, watch: null}
`, []app.Spec{
			{Name: "a", Command: []string{"x"}, Workers: "2", Env: map[string]string{"A": "default", "B": "own", "C": "own"}, Watch: []string{"."}},
			{Name: "b", Command: []string{"x"}, Workers: "max", Env: map[string]string{"A": "default", "B": "default"}},
		}},
		{"anchors", `
x-common: &common
  workers: 2
  env: &env {A: "1"}
apps:
  - {<<: *common, name: a, command: x}
  - {<<: [{workers: 3}, *common], name: b, command: x, env: {<<: *env, B: "2"}}
`, []app.Spec{
			{Name: "a", Command: []string{"x"}, Workers: "2", Env: map[string]string{"A": "1"}},
			{Name: "b", Command: []string{"x"}, Workers: "3", Env: map[string]string{"A": "1", "B": "2"}},
		}},
		{"expansion", `
apps:
  - name: e
    command: node ${TWO} '${TWO}' -p=${PORT} $${PORT} ${NONE:-d}
    cwd: ${EMPTY:-.}
    surge: ${N}
    log_rotate: ${YES}
    env: {A: "${PORT}/$x/$$/${EMPTY}", "${B}": c}
    listen: [":${PORT}"]
`, []app.Spec{{
			Name: "e", Command: []string{"node", "a b", "a b", "-p=3000", "${PORT}", "d"}, Cwd: ".", Surge: 4, LogRotate: new(true),
			Env: map[string]string{"A": "3000/$x/$/", "${B}": "c"}, Listen: []string{":3000"},
		}}},
		{"assignments before a command", "apps: [{command: A=1 node x.js}]", []app.Spec{{Name: "x", Command: []string{"env", "A=1", "node", "x.js"}}}},
		{"a variable in another environment is not asked for", "apps: [{command: x, environments: {production: {workers: \"${NONE}\", surge: \"${NONE}\"}}}]", []app.Spec{
			{Name: "x", Command: []string{"x"}},
		}},
		{"nothing below a key", "apps: [{command: x, env: , listen: }]", []app.Spec{{Name: "x", Command: []string{"x"}}}},
		{"no apps", "apps:\ndefaults: {workers: 2}", []app.Spec{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			entries, notes, err := load(t, test.text, options())
			if err != nil || len(notes) > 0 {
				t.Fatalf("%v, notes %v", err, notes)
			}
			if diff := cmp.Diff(test.want, specs(entries), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			for _, e := range entries {
				if !e.FileForm || !filepath.IsAbs(e.Base) || e.At.Line == 0 {
					t.Errorf("entry %+v", e)
				}
			}
		})
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"muster.json": `{"apps": {"api": {"command": ["node", "\ud83d\ude00.js"], "workers": 2, "env": {"A": "\/"}, "log_rotate": true, "max_restarts": null}}}`})
	entries, _, err := config.Load(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	want := []app.Spec{{Name: "api", Command: []string{"node", "😀.js"}, Workers: "2", Env: map[string]string{"A": "/"}, LogRotate: new(true)}}
	if diff := cmp.Diff(want, specs(entries)); diff != "" {
		t.Error(diff)
	}
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	const text = `
defaults: {environments: {production: {workers: 3, env: {A: default}}}}
apps:
  - name: a
    command: x
    env: {A: own, B: own}
    environments:
      production: {env: {B: production}, stop_timeout: 1m}
      staging: {workers: 1}
  - {name: b, command: x}
`
	for name, want := range map[string][]app.Spec{
		"": {{Name: "a", Command: []string{"x"}, Env: map[string]string{"A": "own", "B": "own"}}, {Name: "b", Command: []string{"x"}}},
		"production": {
			{Name: "a", Command: []string{"x"}, Workers: "3", StopTimeout: app.Duration(60e9), Env: map[string]string{"A": "own", "B": "production"}},
			{Name: "b", Command: []string{"x"}, Workers: "3", Env: map[string]string{"A": "default"}},
		},
		"staging": {{Name: "a", Command: []string{"x"}, Workers: "1", Env: map[string]string{"A": "own", "B": "own"}}, {Name: "b", Command: []string{"x"}}},
	} {
		entries, _, err := load(t, text, config.Options{Environment: name})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, specs(entries), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	_, _, err := load(t, text, config.Options{Environment: "prodution"})
	checkErrors(t, err, []string{"muster.yaml: no app has an environment prodution; hint: did you mean production?"})
	_, _, err = load(t, text, config.Options{Only: []string{"b", "c1"}})
	checkErrors(t, err, []string{"muster.yaml: it has no app c1; hint: its apps are a, b"})
	entries, _, err := load(t, text, config.Options{Only: []string{"b"}})
	if err != nil || len(entries) != 1 || entries[0].Name != "b" {
		t.Errorf("only b: %v, %v", entries, err)
	}
}

// checkErrors compares errors, each as "text; hint: hint", with folders left out.
func checkErrors(t *testing.T, err error, want []string) {
	t.Helper()
	var errs config.Errors
	if !errors.As(err, &errs) {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, e := range errs {
		shown := *e
		shown.File = filepath.Base(e.File)
		text := shown.Error()
		if e.Hint != "" {
			text += "; hint: " + e.Hint
		}
		got = append(got, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors: %s", diff)
	}
}

func TestInclude(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"muster.yaml":     "include: [more/one.yaml, more/a*.yaml, sub]\ndefaults: {workers: 2}\napps: {main: x}\n",
		"more/one.yaml":   "apps: {one: y}\n",
		"more/a1.yaml":    "apps: {a1: y}\n",
		"more/a2.yaml":    "apps: {a2: y}\n",
		"sub/muster.json": `{"apps": {"sub": {"command": ["z"]}}}`,
		"nothing.yaml":    "include: none/*.yaml",
		"cycle.yaml":      "apps: {c: x}\ninclude: more/back.yaml\n",
		"more/back.yaml":  "include: ../cycle.yaml\n",
		"twice.yaml":      "include:\n- more/one.yaml\n- more/o*.yaml\n",
		"absent.yaml":     "include: absent/x.yaml\n",
		"names.yaml":      "apps:\n- {name: one, command: x}\ninclude: more/one.yaml\n",
		"type.yaml":       "include: {a: b}\n",
		"program.yaml":    "include: server.js\n",
		"server.js":       "",
		"errors.yaml":     "include: [more/wrong.yaml]\napps:\n- {comand: x}\n",
		"more/wrong.yaml": "apps:\n- {comand: x}\n",
	})
	entries, _, err := config.Load(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		base, _ := filepath.Rel(dir, e.Base)
		got = append(got, e.Name+" "+base+" "+e.Workers)
	}
	if diff := cmp.Diff([]string{"main . 2", "one more ", "a1 more ", "a2 more ", "sub sub "}, got); diff != "" {
		t.Error(diff)
	}
	_, notes, err := config.Load(filepath.Join(dir, "nothing.yaml"), options())
	if err != nil || len(notes) != 1 || notes[0].Text != "no file is called as none/*.yaml" {
		t.Errorf("notes %v, %v", notes, err)
	}
	for file, want := range map[string][]string{
		"cycle.yaml":   {"back.yaml:1:10: files include each other: cycle.yaml includes more/back.yaml includes cycle.yaml; hint: take one of the includes out"},
		"twice.yaml":   {"twice.yaml:3:3: more/one.yaml is included twice; hint: take one of the includes out"},
		"absent.yaml":  {"absent.yaml:1:10: read absent/x.yaml: no such file or directory; hint: a relative name counts from the folder of the file that has it"},
		"names.yaml":   {"one.yaml:1:8: two apps are called one: the other stands at names.yaml:2:3; hint: give one of them another name"},
		"type.yaml":    {"type.yaml:1:10: include wants one value or a list, not a mapping of keys to values"},
		"program.yaml": {"server.js: is not called as an app file; hint: call it muster.yaml, or anything that ends with .yaml; a file of PM2 is called ecosystem.config.js, others are Procfile"},
		"errors.yaml": {
			`errors.yaml:3:4: an app has no key "comand"; hint: did you mean command?`,
			`wrong.yaml:2:4: an app has no key "comand"; hint: did you mean command?`,
		},
	} {
		_, _, err := config.Load(filepath.Join(dir, file), options())
		if errs, ok := errors.AsType[config.Errors](err); ok {
			for _, e := range errs {
				e.Reason = strings.ReplaceAll(e.Reason, dir+"/", "")
			}
		}
		checkErrors(t, err, want)
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, _, err := config.Load(dir, options())
	var none *config.NotFound
	if !errors.As(err, &none) || none.Hint() == "" {
		t.Errorf("an empty folder: %v", err)
	}
	_, _, err = config.Load(filepath.Join(dir, "x.yaml"), options())
	if err == nil || !strings.HasSuffix(err.Error(), "x.yaml: no such file or directory") {
		t.Errorf("no file: %v", err)
	}
}
