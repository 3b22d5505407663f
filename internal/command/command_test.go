package command_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/command"
)

const program = "#!/bin/sh\n"

// machine has the programs that most tests need.
var machine = map[string]string{
	"bin/node": "#!/bin/sh\necho v22.18.0\n", "bin/npm": program, "bin/yarn": program, "bin/pnpm": program, "bin/npx": program,
	"bin/python3": program, "bin/bash": program, "bin/sh": program, "bin/php": program, "bin/gunicorn": program, "bin/nodemon": program, "bin/go": program,
}

// tree writes files below a new directory: executable if they are programs, by their place or first bytes.
func tree(t *testing.T, files ...map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range files {
		for name, text := range set {
			write(t, root+"/"+name, text)
		}
	}
	return root
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(file, "/") {
		return
	}
	mode := os.FileMode(0o644)
	if strings.HasPrefix(text, "#!") || strings.HasPrefix(text, "\x7fELF") {
		mode = 0o755
	}
	syscall.ForkLock.RLock() // a process forked now would hold the file open for writing, and nobody could execute it
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// result is a command in which the test's directory is written as ROOT.
type result struct {
	Argv    string
	Path    string
	Dir     string
	Env     []string
	Prepend []string
	Node    bool
	Package string
	Notes   []string // what each note must hold
}

func check(t *testing.T, root string, want result, got command.Command) {
	t.Helper()
	shown := result{
		Argv: strings.Join(got.Argv, "|"), Path: got.Path, Dir: got.Dir, Env: got.Env, Prepend: got.PrependPath, Node: got.Node, Package: got.Package,
	}
	hide := func(text string) string { return strings.ReplaceAll(text, root, "ROOT") }
	shown.Argv, shown.Path, shown.Dir = hide(shown.Argv), hide(shown.Path), hide(shown.Dir)
	shown.Env, shown.Prepend = mapped(shown.Env, hide), mapped(shown.Prepend, hide)
	if len(got.Notes) != len(want.Notes) {
		t.Errorf("notes: %q", got.Notes)
	}
	for i, part := range want.Notes {
		if i < len(got.Notes) && !strings.Contains(got.Notes[i], part) {
			t.Errorf("note %q does not hold %q", got.Notes[i], part)
		}
	}
	want.Notes = nil
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Error(diff)
	}
}

func mapped(list []string, f func(string) string) []string {
	var out []string
	for _, s := range list {
		out = append(out, f(s))
	}
	return out
}

func resolve(root, line string, isFileForm bool) (command.Command, error) {
	return command.Resolve(strings.Split(line, " "), filepath.Join(root, "app"), filepath.Join(root, "bin"), isFileForm)
}

func TestFiles(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"app/server.js": "", "app/cli.js": "#!/usr/bin/env python3\n", "app/server.mjs": "", "app/server.cjs": "", "app/server.ts": "",
		"app/web.py": "", "app/own.py": "#!" + "/usr/bin/env python3\n", "app/run.sh": "", "app/index.php": "",
		"app/next": "#!/usr/bin/env -S node --trace-warnings\n", "app/tool": "\x7fELF", "app/Procfile": "", "app/gunicorn": "", "app/nodemon": program,
	}
	tests := []struct {
		line string
		want result
	}{
		{"server.js", result{Argv: "node|server.js", Path: "ROOT/bin/node", Node: true}},
		{"./server.js -p 80 -- x", result{Argv: "node|./server.js|-p|80|--|x", Path: "ROOT/bin/node", Node: true}},
		{"server.mjs", result{Argv: "node|server.mjs", Path: "ROOT/bin/node", Node: true}},
		{"server.cjs", result{Argv: "node|server.cjs", Path: "ROOT/bin/node", Node: true}},
		{"server.ts", result{Argv: "node|server.ts", Path: "ROOT/bin/node", Node: true}},
		{"cli.js", result{Argv: "node|cli.js", Path: "ROOT/bin/node", Node: true}},
		{"web.py --port 80", result{Argv: "python3|-u|web.py|--port|80", Path: "ROOT/bin/python3"}},
		{"own.py x", result{Argv: "ROOT/app/own.py|x", Path: "ROOT/app/own.py"}},
		{"run.sh", result{Argv: "bash|run.sh", Path: "ROOT/bin/bash"}},
		{"index.php", result{Argv: "php|index.php", Path: "ROOT/bin/php"}},
		{"next start", result{Argv: "ROOT/app/next|start", Path: "ROOT/app/next", Node: true}},
		{"./tool", result{Argv: "ROOT/app/tool", Path: "ROOT/app/tool"}},
		{"gunicorn app:app", result{Argv: "gunicorn|app:app", Path: "ROOT/bin/gunicorn"}},
		{"./nodemon", result{Argv: "ROOT/app/nodemon", Path: "ROOT/app/nodemon", Notes: []string{"nodemon starts the program in a process of its own"}}},
		{"node server.js", result{Argv: "node|server.js", Path: "ROOT/bin/node", Node: true}},
	}
	root := tree(t, machine, files)
	for _, test := range tests {
		t.Run(test.line, func(t *testing.T) {
			t.Parallel()
			got, err := resolve(root, test.line, true)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Dir = "ROOT/app"
			check(t, root, test.want, got)
		})
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	files := map[string]string{"app/server.js": "", "app/trace.js": "", "app/tool": program, "app/broken.sh": "#!/no/such/shell\n"}
	alone := "node takes part in its cluster only with a script"
	tests := []struct {
		line string
		want result
	}{
		{"node server.js -e", result{Argv: "node|server.js|-e", Path: "ROOT/bin/node", Node: true}},
		{"node --require ./trace.js --title=x server.js", result{Argv: "node|--require|./trace.js|--title=x|server.js", Path: "ROOT/bin/node", Node: true}},
		{"node --inspect -- server.js", result{Argv: "node|--inspect|--|server.js", Path: "ROOT/bin/node", Node: true}},
		{"node server", result{Argv: "node|server", Path: "ROOT/bin/node", Node: true}},
		{"node -e 1", result{Argv: "node|-e|1", Path: "ROOT/bin/node", Notes: []string{alone}}},
		{"node --print=1", result{Argv: "node|--print=1", Path: "ROOT/bin/node", Notes: []string{alone}}},
		{"node", result{Argv: "node", Path: "ROOT/bin/node", Notes: []string{"there is no script"}}},
		{"node --", result{Argv: "node|--", Path: "ROOT/bin/node", Notes: []string{"there is no script"}}},
		{"node -", result{Argv: "node|-", Path: "ROOT/bin/node", Notes: []string{"there is no script"}}},
		{"node --watch server.js", result{Argv: "node|--watch|server.js", Path: "ROOT/bin/node", Notes: []string{"node --watch starts the program"}}},
		{"node inspect server.js", result{Argv: "node|inspect|server.js", Path: "ROOT/bin/node", Notes: []string{"use node --inspect"}}},
		{"node --test server.js", result{Argv: "node|--test|server.js", Path: "ROOT/bin/node", Notes: []string{"node --test"}}},
		{"../bin/node server.js", result{Argv: "../bin/node|server.js", Path: "ROOT/bin/node", Node: true}},
		{"./tool a", result{Argv: "./tool|a", Path: "ROOT/app/tool"}},
		{"env A=1 B= node server.js", result{Argv: "node|server.js", Path: "ROOT/bin/node", Node: true, Env: []string{"A=1", "B="}}},
		{"cross-env A=1 node server.js", result{Argv: "node|server.js", Path: "ROOT/bin/node", Node: true, Env: []string{"A=1"}}},
		{"nodemon server.js", result{Argv: "nodemon|server.js", Path: "ROOT/bin/nodemon", Notes: []string{"nodemon starts the program in a process of its own"}}},
		{"go run .", result{Argv: "go|run|.", Path: "ROOT/bin/go", Notes: []string{"build the program first"}}},
		{"go version", result{Argv: "go|version", Path: "ROOT/bin/go"}},
	}
	root := tree(t, machine, files)
	for _, test := range tests {
		t.Run(test.line, func(t *testing.T) {
			t.Parallel()
			got, err := resolve(root, test.line, false)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Dir = "ROOT/app"
			check(t, root, test.want, got)
		})
	}
}

func TestShells(t *testing.T) {
	t.Parallel()
	root := tree(t, machine, map[string]string{"app/server.js": ""})
	tests := []struct {
		script string
		node   bool
		notes  []string
	}{
		{"node server.js", true, nil},
		{"exec node server.js", true, nil},
		{"A=1 node $FILE", true, nil},
		{"env A=1 node server.js > log 2>&1", true, nil},
		{"echo; node server.js", false, nil},
		{"npm start", false, []string{"npm starts the program in a process of its own"}},
		{"cross-env A=1 node server.js", false, []string{"cross-env starts the program"}},
		{"node --run start", false, []string{"node --run starts the program"}},
		{"A=1", false, nil},
		{"if true", false, nil},
	}
	for _, test := range tests {
		t.Run(test.script, func(t *testing.T) {
			t.Parallel()
			got, err := command.Resolve([]string{"sh", "-c", test.script}, root+"/app", root+"/bin", false)
			if err != nil {
				t.Fatal(err)
			}
			check(t, root, result{Argv: "sh|-c|" + test.script, Path: "ROOT/bin/sh", Dir: "ROOT/app", Node: test.node, Notes: test.notes}, got)
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"app/server.js": "", "app/dir/index.js": "", "app/pkg/package.json": "{}", "app/empty/": "", "app/app.rb": "", "app/x.tsx": "", "app/Procfile": "",
		"app/plain": "", "app/broken": "#!/no/such/shell\n", "app/lost": "#!/usr/bin/env deno\n",
	}
	tests := []struct {
		name, line    string
		isFileForm    bool
		message, hint string
	}{
		{"nothing", "", true, `command: is empty`, "name a file"},
		{"missing file", "sever.js", true, `command "sever.js": no such file in ROOT/app`, "did you mean server.js?"},
		{"missing file, nothing near", "zzz.py", true, `command "zzz.py": no such file in ROOT/app`, "--cwd"},
		{"missing directory", "src/x.js", true, `command "src/x.js": there is no directory ROOT/app/src`, "--cwd"},
		{"neither file nor program", "servr", true, `command "servr": is neither a file in ROOT/app nor a program in PATH`, "--cwd"},
		{"directory", "dir", true, `command "dir": is a directory`, "did you mean dir/index.js?"},
		{"directory of a package", "pkg/", true, `command "pkg/": is a directory`, "muster run --cwd pkg/ -- npm start"},
		{"empty directory", "empty", true, `command "empty": is a directory`, "name a file in it"},
		{"no interpreter", "app.rb", true, `command "app.rb": ruby not found in PATH`, "install it, or name the program that runs the file: muster run -- PROGRAM app.rb"},
		{"JSX", "x.tsx", true, `command "x.tsx": node does not run files with JSX`, "node --import tsx x.tsx"},
		{"not executable", "Procfile", true, `command "Procfile": is not executable`, "chmod +x"},
		{"device", "/dev/null", true, `command "/dev/null": is not a regular file`, ""},
		{"program not found", "hypercorn app:app", false, `command "hypercorn": not found in PATH`, "install it"},
		{"program is a file here", "plain", false, `command "plain": not found in PATH`, "write ./plain"},
		{"variable", "A=1 node", false, `command "A=1": not found in PATH`, "--env A=1"},
		{"missing program", "./nope", false, `command "./nope": no such file in ROOT/app`, "--cwd"},
		{"program is a directory", "./dir", false, `command "./dir": is a directory`, "index.js"},
		{"program is not executable", "./plain", false, `command "./plain": is not executable`, "chmod +x ./plain"},
		{"missing script", "node srver.js", false, `command "srver.js": no such file in ROOT/app`, "did you mean server.js?"},
		{"missing shell", "./broken", false, `command "ROOT/app/broken": its interpreter /no/such/shell does not exist`, "first line"},
		{"missing interpreter in PATH", "./lost", false, `command "ROOT/app/lost": its interpreter deno was not found in PATH`, "install it"},
	}
	root := tree(t, machine, files)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := resolve(root, test.line, test.isFileForm)
			checkError(t, root, err, test.message, test.hint)
		})
	}
	t.Run("no node", func(t *testing.T) {
		t.Parallel()
		_, err := command.Resolve([]string{"server.js"}, root+"/app", "", true)
		checkError(t, root, err, `command "server.js": node not found in PATH`, "install")
		_, err = command.Resolve([]string{"node", "server.js"}, root+"/app", ":relative", false)
		checkError(t, root, err, `command "node": not found in PATH`, "install Node.js")
	})
}

func checkError(t *testing.T, root string, err error, message, hint string) {
	t.Helper()
	var e *app.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *app.Error", err)
	}
	if got := strings.ReplaceAll(err.Error(), root, "ROOT"); got != message {
		t.Errorf("got  %s\nwant %s", got, message)
	}
	if !strings.Contains(e.Hint, hint) {
		t.Errorf("hint %q does not hold %q", e.Hint, hint)
	}
}

func TestTypeScript(t *testing.T) {
	t.Parallel()
	flag := "node|--experimental-strip-types|a.ts"
	for version, want := range map[string]string{
		"v20.20.2": "", "v22.5.1": "", "v22.6.0": flag, "v22.17.9": flag, "v22.18.0": "node|a.ts", "v23.0.0": flag, "v23.5.0": flag, "v23.6.0": "node|a.ts",
		"v24.1.0": "node|a.ts", "v26.0.0-nightly": "node|a.ts", "nonsense": "",
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			root := tree(t, map[string]string{"bin/node": "#!/bin/sh\necho " + version + "\n", "app/a.ts": ""})
			got, err := resolve(root, "a.ts", true)
			if want != "" {
				check(t, root, result{Argv: want, Path: "ROOT/bin/node", Dir: "ROOT/app", Node: true}, got)
				return
			}
			shown := strings.TrimSuffix(version, "\n")
			if version == "nonsense" {
				shown = `"nonsense"`
			}
			checkError(t, root, err, `command "a.ts": this version of node does not run TypeScript: `+shown, "node --import tsx a.ts")
		})
	}
}

func TestSDK(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	got, err := command.Resolve([]string{self, "x"}, "/", "", false)
	if err != nil || !got.SDK || got.Node {
		t.Errorf("a program of this module: %+v, %v", got, err)
	}
	got, err = command.Resolve([]string{"/bin/sh"}, "/", "", false)
	if err != nil || got.SDK {
		t.Errorf("a shell: %+v, %v", got, err)
	}
}
