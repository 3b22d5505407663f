package command

import (
	"slices"
	"strings"
)

// request is what a package manager was asked to run.
type request struct {
	manager string   // npm, yarn, pnpm, npx or node
	name    string   // of the script or program
	args    []string // for the script
	orBin   bool     // a program of the package will do where there is no such script
	bin     bool     // a program of the package is meant
}

// String is how the user could have written it.
func (q request) String() string {
	if q.bin || q.manager == "npx" {
		return q.manager + " " + q.name
	}
	return q.manager + " run " + q.name
}

// silentOptions change what a package manager prints, nothing else.
var silentOptions = []string{"-s", "--silent", "-q", "--quiet", "-y", "--yes", "--no", "--no-install", "--offline", "--prefer-offline", "--if-present"}

// builtins are words that yarn and pnpm take as commands of their own, unlike any other.
var builtins = []string{
	"install", "add", "remove", "up", "update", "upgrade", "init", "pack", "publish", "link", "unlink", "why", "dlx", "create", "config", "cache",
	"workspace", "workspaces", "audit", "outdated", "list", "ls", "info", "import", "rebuild", "store", "env", "setup", "version", "help",
}

// manager resolves the command line of a package manager to the program that it would run in the end.
func (r resolver) manager(base string, args []string) (Command, error) {
	req, ok := parseManager(base, args[1:])
	switch {
	case !ok:
		return r.wrapped(args, managerNote(base, args))
	case req.bin:
		return r.bin(req, args)
	}
	return r.script(req)
}

func managerNote(base string, args []string) string {
	return "muster cannot look through " + inQuotes(args) + ": " + base + " would keep Node's channel to itself, and the program would get no sockets; " + instead["npm"]
}

// parseManager reads the arguments of a package manager; ok is false for anything but running a script or a program of the package.
func parseManager(base string, args []string) (req request, ok bool) {
	for len(args) > 0 && slices.Contains(silentOptions, args[0]) {
		args = args[1:]
	}
	if base == "npx" {
		return program(request{manager: base}, afterDashes(args))
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return request{}, false
	}
	req = request{manager: base, orBin: base != "npm"}
	verb, rest := args[0], args[1:]
	switch {
	case verb == "start":
		req.orBin = false
		return req.with("start", rest), true
	case verb == "run" || verb == "run-script":
		return script(req, rest)
	case verb == "exec" || base == "npm" && verb == "x":
		return program(req, afterDashes(rest))
	case base == "npm" || slices.Contains(builtins, verb):
		return request{}, false
	}
	return req.with(verb, rest), true
}

// script reads the words behind "run".
func script(req request, args []string) (request, bool) {
	for len(args) > 0 && slices.Contains(silentOptions, args[0]) {
		args = args[1:]
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return request{}, false
	}
	return req.with(args[0], args[1:]), true
}

// program reads the words behind npx or "exec".
func program(req request, args []string) (request, bool) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || strings.Contains(args[0], "@") {
		return request{}, false // an option, or a version that npx would install
	}
	req.bin = true
	req.name, req.args = args[0], args[1:]
	return req, true
}

// with adds a script's name and its arguments. npm takes options before "--" for itself; the others drop the "--" alone.
func (q request) with(name string, args []string) request {
	q.name = name
	if q.manager != "npm" {
		q.args = afterDashes(args)
		return q
	}
	for i, arg := range args {
		if arg == "--" {
			q.args = append(q.args, args[i+1:]...)
			break
		}
		if !strings.HasPrefix(arg, "-") {
			q.args = append(q.args, arg)
		}
	}
	return q
}

// bin resolves a program of the package; one that is not installed is left to the manager.
func (r resolver) bin(req request, typed []string) (Command, error) {
	dirs := bins(r.dir)
	if _, ok := (resolver{dir: r.dir, path: strings.Join(dirs, ":")}).inPath(req.name); !ok {
		if _, ok := r.inPath(req.name); !ok {
			return r.wrapped(typed, req.name+" is not installed in the package; "+managerNote(req.manager, typed))
		}
	}
	c, err := r.with(r.dir, dirs).command(append([]string{req.name}, req.args...))
	c.PrependPath = inFront(dirs, c.PrependPath)
	return c, err
}

// inFront puts the directories of an inner script before those of the script that runs it, each once.
func inFront(outer, inner []string) []string {
	all := slices.Clone(inner)
	for _, dir := range outer {
		if !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	return all
}

// with returns the resolver for another directory, with more directories in front of the PATH.
func (r resolver) with(dir string, dirs []string) resolver {
	path := strings.Join(dirs, ":")
	if r.path != "" && path != "" {
		path += ":"
	}
	return resolver{dir: dir, path: path + r.path, depth: r.depth + 1}
}
