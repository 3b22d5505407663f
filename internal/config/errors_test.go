package config_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterd/muster/internal/config"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	const wants = "; hint: write command: node server.js, and what else it needs, on lines of their own"
	const apps = "; hint: write apps:, and below it an app each: - name: api"
	const flow = "; hint: look at the lines before, too: at their indentation, and for a quote or bracket that is not closed"
	tests := []struct {
		name, text string
		want       []string
	}{
		{"empty", "", []string{"muster.yaml: is empty" + apps}},
		{"comment", "# nothing\n", []string{"muster.yaml: is empty" + apps}},
		{"list", "- x\n", []string{"muster.yaml:1:1: an app file begins with keys, not with a list" + apps}},
		{"no apps", "defaults: {workers: 2}\n", []string{"muster.yaml:1:1: there are no apps" + apps}},
		{"unknown key of the file", "app: []\n", []string{
			`muster.yaml:1:1: there is no key "app"; hint: did you mean apps?`,
		}},
		{"key of an app", "apps: []\nworkers: 2\n", []string{`muster.yaml:2:1: there is no key "workers"; hint: it belongs to an app, below apps:, or to all of them, below defaults:`}},
		{"unknown keys", "apps:\n  - name: a\n    comand: x\n    wrkers: 2\n    zzz: 1\n", []string{
			`muster.yaml:3:5: an app has no key "comand"; hint: did you mean command?`,
			`muster.yaml:4:5: an app has no key "wrkers"; hint: did you mean workers?`,
			`muster.yaml:5:5: an app has no key "zzz"; hint: the keys are KEYS`,
		}},
		{"keys twice", "apps:\n  a:\n    command: x\n    command: y\n  a: z\n", []string{
			"muster.yaml:4:5: command stands here twice, the first time in line 3; hint: leave one of them out",
			"muster.yaml:5:3: a stands here twice, the first time in line 2; hint: leave one of them out",
		}},
		{"order", `apps:
  db: {command: x}
  api:
    command: x
    depends_on: [dbb, db]
  web:
    command: x
    depends_on:
      db: healthy
      web: ready
  a: {command: x, depends_on: b}
  b: {command: x, depends_on: {a: started}}
`, []string{
			`muster.yaml:10:7: depends_on "web": it would wait for itself; hint: take it out`,
		}},
		{"order of apps that are right", `apps:
  db: {command: x}
  api:
    command: x
    depends_on: [dbb, db]
  web:
    command: x
    depends_on:
      db: healthy
      api: completed
  a: {command: x, depends_on: b}
  b: {command: x, depends_on: {a: started}}
`, []string{
			`muster.yaml:5:18: depends_on "dbb": there is no app of that name; hint: did you mean db?`,
			`muster.yaml:9:7: depends_on "db": it has no health check; hint: give db one, as health: http:/healthz, or write ready`,
			`muster.yaml:10:7: depends_on "api": it is no job that runs once, and so never completed; hint: write started or ready, or give api job: true`,
			`muster.yaml:11:31: depends_on "b": each would wait for the other: a depends on b depends on a; hint: take one of these dependencies out`,
		}},
		{"condition", "apps:\n  db: x\n  a: {command: x, depends_on: {db: reddy}}\n", []string{
			`muster.yaml:3:32: depends_on "db": its condition "reddy" is not known; hint: did you mean ready? The choices are started, ready, healthy, completed, auto`,
		}},
		{"types", `apps:
  - name: [a]
    command: {x: y}
    workers: [1]
    surge: "2"
    max_restarts: often
    job: yes
    log_rotate: 1
    listen: {a: b}
    env: [A=1]
    stop_timeout: [1s]
    max_memory: {}
    environments: [production]
`, []string{
			"muster.yaml:2:11: name wants one value, not a list",
			"muster.yaml:3:14: command wants one value or a list, not a mapping of keys to values",
			"muster.yaml:4:14: workers wants one value, not a list",
			`muster.yaml:5:12: surge wants a whole number, not the text "2"`,
			`muster.yaml:6:19: max_restarts wants a whole number, not the text "often"`,
			`muster.yaml:7:10: job wants true or false, not the text "yes"`,
			"muster.yaml:8:17: log_rotate wants true or false, not 1",
			"muster.yaml:9:13: listen wants one value or a list, not a mapping of keys to values",
			"muster.yaml:10:10: env wants keys and values, not a list",
			"muster.yaml:11:19: stop_timeout wants one value, not a list",
			"muster.yaml:12:17: max_memory wants one value, not a mapping of keys to values",
			"muster.yaml:13:19: environments wants names of environments, not a list",
		}},
		{"values", "apps:\n  - {name: a, command: x, stop_timeout: 10 s}\n  - {name: b, command: x, max_memory: lots}\n  - {name: c, command: x, surge: 1.5}\n", []string{
			`muster.yaml:2:41: stop_timeout "10 s": is not a duration; hint: write a number with a unit, as 10s, 500ms, 2m or 30d; a bare number counts milliseconds`,
			`muster.yaml:3:39: max_memory "lots": is not a size; hint: write a number with a unit, as 512M or 1.5G; a bare number counts bytes`,
			`muster.yaml:4:34: surge wants a whole number, not 1.5`,
		}},
		{"what an app refuses", `apps:
  - name: a
    command: x
    workers: lots
  - name: b
    command: x
    listen: [":3000", "nowhere:x"]
  - name: c
    command: x
    handoff: inherit
  - name: d
  - name: e
    command: x
    handoff: inhert
  - {name: "a b", command: x}
`, []string{
			`muster.yaml:4:14: workers "lots": is not a number of workers; hint: write a number, "max" (one per CPU), "50%" of the CPUs, or "-1" (all CPUs but one)`,
			`muster.yaml:7:23: listen "nowhere:x": the port "x" is not a number; hint: a port is a number from 0 to 65535`,
			`muster.yaml:10:14: handoff "inherit": there is no listener to hand off; hint: add one with listen :3000`,
			"muster.yaml:11:5: command: is empty; hint: name a file or a program to run",
			`muster.yaml:14:14: handoff "inhert": is not known; hint: did you mean inherit? The choices are auto, inherit, node, message, none`,
			`muster.yaml:15:12: name "a b": is not a valid name; hint: a name has up to 64 letters, digits, dots, dashes and underscores, and begins with a letter or a digit`,
		}},
		{"apps of one name", "apps:\n  - {name: a, command: x}\n  - {command: ./a.sh}\n", []string{
			"muster.yaml:3:5: two apps are called a: the other stands at muster.yaml:2:5; hint: give one of them another name",
		}},
		{"name below a name", "apps:\n  a: {name: b, command: x}\n", []string{"muster.yaml:2:13: the app is called a already, by the key above; hint: leave name out"}},
		{"no apps at all", "apps: x\n", []string{"muster.yaml:1:7: apps wants a list or names of apps, not the text \"x\"" + apps}},
		{"an app that is none", "apps: [x, [y], null]\n", []string{
			`muster.yaml:1:8: an app is keys and values, not the text "x"` + wants,
			"muster.yaml:1:11: an app is keys and values, not a list" + wants,
			"muster.yaml:1:16: an app is keys and values, not nothing" + wants,
		}},
		{"empty items", "apps:\n  - command: [x, ]\n    listen: [null, ':1']\n    env: {A: }\n", []string{
			`muster.yaml:3:14: an item of listen is empty; hint: leave it out, or write ""`,
			`muster.yaml:4:11: A has no value; hint: for an empty one write ""`,
		}},
		{"name for all", "defaults: {name: a}\napps: [{command: x}]\n", []string{"muster.yaml:1:12: every app has a name of its own; hint: write name at the app"}},
		{"defaults without apps", "defaults: {wrkers: 2}\napps: []\n", []string{`muster.yaml:1:12: an app has no key "wrkers"; hint: did you mean workers?`}},
		{"defaults once", "defaults: {wrkers: 2}\napps: [{command: x}, {name: y, command: y}]\n", []string{`muster.yaml:1:12: an app has no key "wrkers"; hint: did you mean workers?`}},
		{"another environment", "apps:\n  - command: x\n    environments: {production: {wrkers: 2, surge: x, name: y}}\n", []string{
			`muster.yaml:3:33: an app has no key "wrkers"; hint: did you mean workers?`,
			`muster.yaml:3:51: surge wants a whole number, not the text "x"`,
			"muster.yaml:3:54: every app has a name of its own; hint: write name at the app",
		}},
		{"variables", "apps:\n  - command: run ${NONE}\n    cwd: ${PORT\n    env: {A: \"${1}\", B: \"${A:-${B}}\"}\n", []string{
			"muster.yaml:2:14: the variable NONE is not set; hint: set it, or write ${NONE:-text} for what stands in its place",
			"muster.yaml:3:10: the brace after $ is not closed; hint: write ${NAME}, ${NAME:-text} for a text where it is not set, or $$ for a dollar sign",
			"muster.yaml:4:14: ${1} names no variable; hint: write ${NAME}, ${NAME:-text} for a text where it is not set, or $$ for a dollar sign",
			"muster.yaml:4:25: one ${…} cannot stand in another; hint: write ${NAME}, ${NAME:-text} for a text where it is not set, or $$ for a dollar sign",
		}},
		{"commands for a shell", "apps:\n  a: node x && node y\n  b: node $HOME/x\n  c: node 'x\n  d: cat < x\n  e: A=1\n  f: ''\n", []string{
			`muster.yaml:2:6: command "node x && node y": is more than one program with its arguments; hint: run a shell: ["sh", "-c", "…"]`,
			`muster.yaml:3:6: command "node $HOME/x": $ means something to a shell, and there is none; hint: put it into quotes to pass it as it is, or run a shell: ["sh", "-c", "…"]`,
			`muster.yaml:4:6: command "node 'x": a quote is not closed; hint: close it, or write a backslash before a quote that stands for itself`,
			`muster.yaml:5:6: command "cat < x": < means something to a shell, and there is none; hint: put it into quotes to pass it as it is, or run a shell: ["sh", "-c", "…"]`,
			`muster.yaml:6:6: command "A=1": names no program; hint: name a file or a program to run`,
			`muster.yaml:7:6: command: names no program; hint: name a file or a program to run`,
		}},
		{"merging", "x-a: &a [1]\napps: [{<<: *a, command: x}]\n", []string{
			"muster.yaml:1:10: << takes the keys of a mapping, not those of 1; hint: write <<: *name, for an anchor &name at a mapping",
		}},
		{"aliases without end", "x-a: &a {<<: *a}\napps: [{<<: *a, command: x}]\n", []string{"muster.yaml:1:14: too many aliases; hint: write out what they stand for"}},
		{"key that is no word", "apps: [{[a]: b, command: x}]\n", []string{"muster.yaml:1:9: a key is a word, not a list; hint: write key: value"}},
		{"two documents", "apps: {a: x}\n---\napps: {b: x}\n", []string{"muster.yaml:2:1: a second document begins here; hint: one file has one; use include for more files"}},
		{"tabs", "apps:\n\t- x\n", []string{"muster.yaml:2: is not YAML here: found character that cannot start any token; hint: indent with blanks, not with tabs; put a text that begins with %, @, ` or a bracket into quotes"}},
		{"bracket", "apps: [x\nb: y", []string{"muster.yaml:2: is not YAML here: did not find expected ',' or ']'" + flow}},
		{"colon", "apps: a: b\n", []string{"muster.yaml:1: is not YAML here: mapping values are not allowed in this context; hint: put a text with a colon and a blank in it into quotes; look at the indentation"}},
		{"anchor", "x-a: &b 1\napps: *a\n", []string{"muster.yaml:2: is not YAML here: unknown anchor 'a' referenced; hint: an anchor, as &name, stands before what uses it, as *name"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, map[string]string{"muster.yaml": test.text})
			_, _, err := config.Load(filepath.Join(dir, "muster.yaml"), options())
			checkErrors(t, shortened(err, dir), test.want)
		})
	}
}

// shortened leaves out of errors what would make a table of them long: the folder, and lists of keys.
func shortened(err error, dir string) error {
	var errs config.Errors
	if !errors.As(err, &errs) {
		return err
	}
	for _, e := range errs {
		e.Reason = strings.ReplaceAll(e.Reason, dir+"/", "")
		if strings.HasPrefix(e.Hint, "the keys are ") {
			e.Hint = "the keys are KEYS"
		}
	}
	return errs
}

func TestJSONErrors(t *testing.T) {
	t.Parallel()
	const hint = "; hint: JSON has no comments and no comma before a closing bracket; muster.yaml does without quotes"
	tests := []struct {
		text string
		want []string
	}{
		{" ", []string{"muster.json: is empty; hint: write apps:, and below it an app each: - name: api"}},
		{"{\n  \"apps\": {\n    \"ä\": 1, \"a\": {\"comand\": 1},\n    \"b\": {\"command\": true, \"command\": 2}}}", []string{
			`muster.json:3:5: name "ä": is not a valid name; hint: a name has up to 64 letters, digits, dots, dashes and underscores, and begins with a letter or a digit`,
			`muster.json:3:19: an app has no key "comand"; hint: did you mean command?`,
			"muster.json:4:28: command stands here twice, the first time in line 4; hint: leave one of them out",
		}},
		{"{\"apps\": []\n", []string{"muster.json:2:1: is not JSON here: the document is not complete" + hint}},
		{"{\"apps\": [],\n}", []string{"muster.json:2:1: is not JSON here: invalid character '}' looking for beginning of object key string" + hint}},
		{"{} {}", []string{"muster.json:1:4: is not JSON here: something follows the end of the document" + hint}},
		{"// x\n{}", []string{"muster.json:1:1: is not JSON here: invalid character '/' looking for beginning of value" + hint}},
		{strings.Repeat("[", 200), []string{"muster.json:1:101: is not JSON here: too many brackets stand in each other" + hint}},
	}
	for _, test := range tests {
		dir := write(t, map[string]string{"muster.json": test.text})
		_, _, err := config.Load(filepath.Join(dir, "muster.json"), options())
		checkErrors(t, shortened(err, dir), test.want)
	}
}
