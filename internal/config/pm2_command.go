package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/musterd/muster/internal/command"
)

// setScript takes the script. PM2's own file server is none of ours.
func (m *pm2) setScript(p pair) {
	if m.one(p) == "serve" && m.isServe() {
		m.fail(m.at(p.value), "script: muster serves no files", "run any server of files, as npx serve")
	}
	m.script, m.fields[keyCommand] = p.value, m.placeOf(p.value)
}

// isServe tells whether serve means PM2's: then there is no file and no program of that name to be found.
func (m *pm2) isServe() bool {
	path, _ := m.Lookup("PATH")
	_, err := command.Resolve([]string{"serve"}, m.dir, path, true)
	return err != nil
}

func (m *pm2) setInterpreter(p pair) {
	m.interpreter = m.one(p)
	if name, version, found := strings.Cut(m.interpreter, "@"); found && (name == "node" || name == "nodejs") {
		m.fail(m.at(p.value), fmt.Sprintf("interpreter: muster does not look for Node %s in nvm", version), "name the program: nvm which "+version+" prints its path")
	}
}

// nameOfScript is what PM2 calls an app that has no name.
func nameOfScript(script string) string {
	words := strings.Fields(script)
	if len(words) == 0 {
		return ""
	}
	base := filepath.Base(words[0])
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// interpreters are what PM2 runs files with, by their extensions, as far as muster does not do so by itself.
var interpreters = map[string]string{".pl": "perl", ".coffee": "coffee", ".ls": "lsc"}

// ours are those with which muster runs files by itself.
var ours = map[string]string{
	".js": "node", ".mjs": "node", ".cjs": "node", ".ts": "node", ".mts": "node", ".cts": "node", ".tsx": "bun",
	".py": "python3", ".rb": "ruby", ".php": "php", ".sh": "bash",
}

// setCommand makes the command of script, arguments, interpreter and its options.
func (m *pm2) setCommand() {
	words := m.scriptWords()
	if len(words) == 0 {
		return
	}
	interpreter := m.interpreter
	ext := filepath.Ext(words[0])
	explicit := len(m.options) > 0 || m.counter != nil
	switch {
	case interpreter == "none":
		interpreter = ""
	case interpreter != "":
	case interpreters[ext] != "":
		interpreter = interpreters[ext]
	case explicit && ours[ext] != "":
		interpreter = ours[ext]
	case m.isScriptOfNode(words[0]):
		interpreter = "node"
	}
	switch {
	case interpreter != "":
		words = append(append([]string{interpreter}, m.options...), words...)
	case explicit && m.isFile(words[0]) && !strings.Contains(words[0], "/"):
		words[0] = "./" + words[0]
	}
	m.spec.Command = m.counted(append(words, m.args...))
}

// counted puts before the command the variable that is one more for each worker.
func (m *pm2) counted(words []string) []string {
	if m.counter == nil || isNull(m.counter) {
		return words
	}
	name := m.counter.Value
	start, ok := m.startOf(name)
	if !ok {
		return words
	}
	delete(m.spec.Env, name)
	placeholder := "{slot}"
	if start != 0 {
		placeholder = fmt.Sprintf("{slot+%d}", start)
	}
	return append([]string{"env", name + "=" + placeholder}, words...)
}

// scriptWords are the words of the script: one, unless it is a command line.
func (m *pm2) scriptWords() []string {
	text := m.atHome(strings.TrimSpace(m.script.Value))
	switch {
	case text == "":
		m.fail(m.at(m.script), "script: is empty", `write script: "server.js"`)
		return nil
	case !strings.ContainsAny(text, " \t\n") || m.isFile(text):
		return []string{text}
	}
	if words, err := command.Words(text); err == nil {
		return words
	}
	return []string{"bash", "-c", text}
}

// absolute is where a file of the app is.
func (m *pm2) absolute(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	if filepath.IsAbs(m.spec.Cwd) {
		return filepath.Join(m.spec.Cwd, name)
	}
	return filepath.Join(m.dir, m.spec.Cwd, name)
}

func (m *pm2) isFile(name string) bool {
	info, err := os.Stat(m.absolute(name))
	return err == nil && info.Mode().IsRegular()
}

// isScriptOfNode tells whether PM2 has Node run a file whose name does not say what it is: it cannot run by itself, and is text.
func (m *pm2) isScriptOfNode(name string) bool {
	file := m.absolute(name)
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 != 0 || ours[filepath.Ext(name)] != "" {
		return false
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	head, err := io.ReadAll(io.LimitReader(f, 512))
	return err == nil && !bytes.ContainsRune(head, 0)
}
