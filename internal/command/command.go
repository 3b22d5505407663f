// Package command turns what a user typed into a program that can be executed: it finds the interpreter of a file, looks through
// npm, yarn, pnpm and npx at the script they would run, and tells what kind of worker the program makes.
//
// Node takes part in its cluster only if it is the very process that muster starts: npm and its like, and tools that start node
// anew, would take the channel for themselves. Hence the looking through.
package command

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/musterd/muster/internal/app"
)

// Command is what to execute.
type Command struct {
	Argv        []string // Argv[0] as written, or absolute for a file that runs itself
	Path        string   // the program, absolute
	Dir         string   // where it has to run, absolute: the directory it was resolved in, or that of the package whose script it is
	Env         []string // NAME=value that the script sets, and what npm would; goes over the worker's environment, later ones over earlier
	PrependPath []string // directories that come first in the worker's PATH
	Node        bool     // Node runs it in the process that is started, with a script: it takes part in Node's cluster
	SDK         bool     // a Go program that is built on the worker SDK
	Package     string   // name of the package whose script it is; may be empty
	Notes       []string // what the user should know, a sentence each
}

// Resolve resolves args in the absolute directory dir; programs are looked up in path, a list like $PATH. With isFileForm the first word
// may also be a file that an interpreter runs: `muster run server.js`, as opposed to `muster run -- node server.js`.
// A file that does not exist and a program that cannot be executed are an *app.Error with a hint.
//
// To tell whether Node can run a TypeScript file, it executes `node --version`.
func Resolve(args []string, dir, path string, isFileForm bool) (Command, error) {
	r := resolver{dir: dir, path: path}
	if len(args) == 0 || args[0] == "" {
		return Command{}, fault("", "is empty", "name a file, or a program after --")
	}
	if isFileForm {
		return r.file(args)
	}
	return r.command(args)
}

// resolver is where a command is resolved: scripts make inner ones.
type resolver struct {
	dir   string
	path  string
	depth int // of scripts that run scripts
}

// maxDepth bounds scripts that run each other.
const maxDepth = 8

func fault(value, reason, hint string) *app.Error {
	return &app.Error{Field: "command", Value: value, Reason: reason, Hint: hint}
}

// command resolves a program and its arguments.
func (r resolver) command(args []string) (Command, error) {
	base := path.Base(args[0])
	switch {
	case isNode(base):
		return r.node(args)
	case isManager(base):
		return r.manager(base, args)
	case isShell(base) && len(args) == 3 && args[1] == "-c":
		return r.typedShell(args)
	case base == "env" || base == "cross-env":
		return r.assignments(args)
	case isWrapper(base, args):
		return r.wrapped(args, wrapperNote(base))
	}
	return r.program(args)
}

func isManager(base string) bool {
	return base == "npm" || base == "yarn" || base == "pnpm" || base == "npx"
}

func isNode(base string) bool { return base == "node" || base == "nodejs" }

func isShell(base string) bool {
	return base == "sh" || base == "bash" || base == "dash" || base == "zsh"
}

// program resolves a program that is neither looked through nor known.
func (r resolver) program(args []string) (Command, error) {
	file, err := r.look(args[0])
	if err != nil {
		return Command{}, err
	}
	c := Command{Argv: args, Path: file, Dir: r.dir}
	interpreter, err := r.shebang(file)
	if err != nil {
		return Command{}, err
	}
	c.Node = isNode(path.Base(interpreter)) || interpreter != "" && launchesNode(file)
	c.SDK = interpreter == "" && usesSDK(file)
	return c, nil
}

// wrapped resolves a program that starts the real one in a process of its own.
func (r resolver) wrapped(args []string, note string) (Command, error) {
	file, err := r.look(args[0])
	return Command{Argv: args, Path: file, Dir: r.dir, Notes: []string{note}}, err
}

// assignments looks through `env A=1 program` and `cross-env A=1 program`, as far as these only set variables.
func (r resolver) assignments(args []string) (Command, error) {
	n := 1
	for n < len(args) && isAssignment(args[n]) {
		n++
	}
	env, rest := args[1:n], args[n:]
	plain := len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && !setsPath(env)
	if path.Base(args[0]) == "cross-env" {
		plain = plain && !strings.Contains(strings.Join(args, ""), "$")
	}
	if !plain {
		return r.wrapped(args, wrapperNote(path.Base(args[0])))
	}
	c, err := r.command(rest)
	c.Env = append(append([]string{}, env...), c.Env...)
	return c, err
}

func setsPath(env []string) bool {
	for _, e := range env {
		if strings.HasPrefix(e, "PATH=") {
			return true
		}
	}
	return false
}

func isAssignment(word string) bool {
	name, _, found := strings.Cut(word, "=")
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return found && name != ""
}

// typedShell resolves a shell whose command line the user wrote; that stays as it is.
func (r resolver) typedShell(args []string) (Command, error) {
	c, err := r.program(args)
	l := scan(args[2])
	if err == nil && l.simple {
		c.Node, c.Notes = r.guess(l)
	}
	return c, err
}

// guess tells whether a shell that runs one command runs Node, and what to note of it.
func (r resolver) guess(l line) (node bool, notes []string) {
	words := texts(l.program())
	if len(words) == 0 {
		return false, nil
	}
	base := path.Base(words[0])
	if base == "cross-env" || isManager(base) {
		return false, []string{wrapperNote(base)}
	}
	if _, _, ok := runOption(words); ok && isNode(base) {
		return false, []string{wrapperNote("node --run")}
	}
	c, err := r.command(words)
	if err != nil {
		return isNode(base), nil
	}
	return c.Node, c.Notes
}

// abs returns the absolute form of a file name.
func (r resolver) abs(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(r.dir, name)
}

func inQuotes(words []string) string { return fmt.Sprintf("%q", strings.Join(words, " ")) }
