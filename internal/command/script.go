package command

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// script resolves a script of the package that the directory belongs to.
func (r resolver) script(req request) (Command, error) {
	why := req.String()
	if r.depth >= maxDepth {
		return Command{}, fault(why, "its scripts run each other", "name the program itself, after --")
	}
	p, err := r.findPackage(why)
	if err != nil {
		return Command{}, err
	}
	text, ok := p.Scripts[req.name]
	if !ok && req.name == "start" && isRegular(filepath.Join(p.dir, "server.js")) {
		text, ok = "node server.js", true // npm-start(1)
	}
	switch {
	case !ok && req.orBin:
		return r.binOf(p, req)
	case !ok:
		return Command{}, p.noScript(why, req.name)
	}
	return r.scriptText(p, req, text)
}

// binOf resolves `yarn next` and the like, where next is no script.
func (r resolver) binOf(p pkg, req request) (Command, error) {
	if _, ok := r.with(p.dir, bins(p.dir)).inPath(req.name); !ok {
		return Command{}, p.noScript(req.String(), req.name)
	}
	return r.bin(req, nil)
}

func (r resolver) scriptText(p pkg, req request, text string) (Command, error) {
	dirs := bins(p.dir)
	c, err := r.with(p.dir, dirs).shell(text, req)
	if err != nil {
		return Command{}, fmt.Errorf("script %s of %s: %w", req.name, p.file(), err)
	}
	c.PrependPath = inFront(dirs, c.PrependPath)
	c.Env = append(p.env(req, text, r.dir), c.Env...)
	if c.Package == "" {
		c.Package = p.Name
	}
	c.Notes = append(c.Notes, hookNotes(p, req)...)
	return c, nil
}

// hookNotes tells about scripts that the package manager would run around this one.
func hookNotes(p pkg, req request) []string {
	var notes []string
	for _, hook := range []string{"pre", "post"} {
		if _, ok := p.Scripts[hook+req.name]; ok && req.manager != "node" {
			note := fmt.Sprintf("the script %s%s does not run: muster starts %q alone, once per worker", hook, req.name, req.name)
			if hook == "pre" {
				note += fmt.Sprintf("; run %q before", req.manager+" run "+hook+req.name)
			}
			notes = append(notes, note)
		}
	}
	return notes
}

// shellOnly are commands that only a shell has. A script that begins with one needs a shell, and leaves no process to become.
var shellOnly = []string{
	".", ":", "cd", "command", "eval", "exit", "export", "read", "readonly", "set", "shift", "source", "trap", "type", "ulimit", "umask", "unset", "wait",
}

// shell resolves a script's text: without a shell if none is needed, else through one that the program takes the place of, if it can.
func (r resolver) shell(text string, req request) (Command, error) {
	for _, arg := range req.args {
		text += " " + quote(arg)
	}
	l := scan(text)
	program := l.program()
	switch {
	case strings.TrimSpace(text) == "" || l.simple && len(program) == 0:
		return Command{}, fault(text, "runs no program", "")
	case !l.simple || needsShell(program[0].text):
		return r.throughShell(text, severalNote(req))
	case l.literal && !setsPath(texts(l.assignments())):
		c, err := r.command(texts(program))
		c.Env = append(texts(l.assignments()), c.Env...)
		return c, err
	}
	c, err := r.throughShell(withExec(text, l))
	if err == nil {
		c.Node, c.Notes = r.guess(l)
	}
	return c, err
}

// needsShell tells whether the first word of a command means something to a shell alone: a command of its own, or an option of exec.
func needsShell(word string) bool {
	return slices.Contains(shellOnly, word) || strings.HasPrefix(word, "-")
}

// withExec makes the shell become the program.
func withExec(text string, l line) string {
	first := l.command()[0]
	if first.text == "exec" {
		return text
	}
	return text[:first.at] + "exec " + text[first.at:]
}

func (r resolver) throughShell(text string, notes ...string) (Command, error) {
	file, err := r.look("sh")
	return Command{Argv: []string{"sh", "-c", text}, Path: file, Dir: r.dir, Notes: notes}, err
}

func severalNote(req request) string {
	return "the script " + req.name + " does more than run one program, so muster does not hand sockets to it through Node's cluster; " +
		"if its last command is the server, name that alone, after --, and run the rest before"
}
