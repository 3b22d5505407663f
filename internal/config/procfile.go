package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/command"
	"github.com/musterd/muster/internal/envfile"
)

const (
	procfileHint = "write a name, a colon and a command: web: node server.js"
	dotEnv       = ".env"

	// The ports that programs are told by PORT: so it is in Foreman and its like.
	firstPort = 5000
	portStep  = 100
)

// process matches a line of a Procfile.
var process = regexp.MustCompile(`^([A-Za-z0-9_-]+)[ \t]*:[ \t]*(.*)$`)

// procfile reads an app of each line. All get the variables of .env, and each a PORT of its own. There is one worker of each.
func (s *source) procfile(data []byte) {
	port, hasEnv, ok := s.dotEnv()
	if !ok {
		return
	}
	count := 0
	seen := map[string]int{}
	for i, line := range strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		at := Position{File: s.file, Line: i + 1}
		line = strings.TrimRight(line, " \t\r")
		if text := strings.TrimSpace(line); text == "" || text[0] == '#' {
			continue
		}
		m := process.FindStringSubmatchIndex(line)
		if m == nil {
			s.fail(at, "is no line of a Procfile", procfileHint)
			continue
		}
		name := line[m[2]:m[3]]
		if first := seen[name]; first > 0 {
			s.fail(at, fmt.Sprintf("%s stands here twice, the first time in line %d", name, first), "give one of them another name")
			continue
		}
		seen[name] = at.Line
		d := newDraft()
		d.spec.Name, d.spec.Workers = name, "1"
		d.spec.Env = map[string]string{"PORT": strconv.Itoa(port + portStep*count)}
		if hasEnv {
			d.spec.EnvFile = []string{dotEnv}
		}
		count++
		s.process(d, at, line[m[4]:m[5]], m[4]+1)
	}
	if count == 0 && len(s.errs) == 0 {
		s.fail(Position{File: s.file}, "is empty", procfileHint)
	}
}

// process makes an app of a line. What Heroku runs once before a release is a job.
func (s *source) process(d *draft, at Position, text string, column int) {
	where := Position{File: at.File, Line: at.Line, Column: column}
	words, err := command.Line(text)
	if e, ok := errors.AsType[*app.Error](err); ok {
		s.refuse(where, e, keyCommand)
		return
	}
	d.spec.Command, d.fields[keyCommand] = words, place{Position: where}
	if d.spec.Name == "release" {
		d.spec.Job, d.spec.Workers = true, ""
		s.note(at, "release runs once and is not started again: it is a job")
	}
	at.Column = 1
	s.finish(d, at)
}

// dotEnv looks for a file of variables beside the Procfile, and for the first port.
func (s *source) dotEnv() (port int, found, ok bool) {
	text, _ := s.Lookup("PORT")
	file := filepath.Join(filepath.Dir(s.file), dotEnv)
	data, err := os.ReadFile(filepath.Join(s.dir, dotEnv))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		s.fail(Position{File: file}, "read it: "+reasonOf(err), "the variables for a Procfile stand in .env, beside it")
		return 0, false, false
	default:
		values, err := envfile.Parse(file, string(data), s.Lookup)
		if e, ok := errors.AsType[*envfile.Error](err); ok {
			s.fail(Position{File: file, Line: e.Line}, e.Reason, e.Hint)
			return 0, false, false
		}
		found = true
		if values["PORT"] != "" {
			text = values["PORT"]
		}
	}
	if text == "" {
		return firstPort, found, true
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		s.fail(Position{File: s.file}, fmt.Sprintf("PORT %q: is not the number of a port", text), "write PORT=5000, or leave it out")
	}
	return port, found, true
}
