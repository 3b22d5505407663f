package config

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// evaluate.js has Node evaluate a file and print what it says as JSON, behind a NUL.
//
//go:embed evaluate.js
var evaluator string

// evaluateTime is how long Node may take over a file.
const evaluateTime = 10 * time.Second

// How evaluate.js is to read a file.
const (
	asModule = "module"
	asJSON   = "json" // as one expression: with comments, and commas before closing brackets
)

// evaluate has Node read the file. The nodes have no places yet.
func (s *source) evaluate(how string) (*yaml.Node, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), evaluateTime)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", "-e", evaluator, "--", how, filepath.Join(s.dir, filepath.Base(s.file)))
	cmd.Dir, cmd.Env = s.dir, os.Environ()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	_, text, found := bytes.Cut(stdout.Bytes(), []byte{0})
	switch {
	case errors.Is(err, exec.ErrNotFound):
		s.fail(Position{File: s.file}, "is read by node, which was not found in PATH", "install Node.js, or write the apps down in muster.yaml; where there is node, muster import pm2 does that")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		s.fail(Position{File: s.file}, fmt.Sprintf("node had not read it after %v", evaluateTime), "an app file must say what there is without waiting for anything")
	case err != nil || !found:
		s.notEvaluated(stderr.String())
	default:
		return s.parseJSON(text)
	}
	return nil, false
}

var (
	// thrown matches what was thrown, in what Node prints.
	thrown = regexp.MustCompile(`(?m)^(?:Uncaught )?([A-Z]\w*(?: \[\w+\])?: .*)$`)
	// lineOf matches a place in a file, behind its name.
	lineOf = regexp.MustCompile(`^:(\d+)(?::(\d+))?`)
)

func (s *source) notEvaluated(stderr string) {
	reason := "node ended without reading it"
	if m := thrown.FindStringSubmatch(stderr); m != nil {
		reason = "node could not read it: " + m[1]
	}
	e := &Error{Position: Position{File: s.file}, Reason: reason, Hint: moduleHint(stderr), Detail: lastLines(stderr)}
	if _, rest, found := strings.Cut(stderr, filepath.Base(s.file)); found {
		if m := lineOf.FindStringSubmatch(rest); m != nil {
			e.Line, _ = strconv.Atoi(m[1])
			e.Column, _ = strconv.Atoi(m[2])
		}
	}
	s.errs = append(s.errs, e)
}

func moduleHint(stderr string) string {
	switch {
	case strings.Contains(stderr, "in ES module scope"):
		return `the package.json says "type": "module"; call the file ecosystem.config.cjs, or write export default {…}`
	case strings.Contains(stderr, "Unexpected token 'export'"), strings.Contains(stderr, "Cannot use import statement"):
		return "call the file ecosystem.config.mjs, or write module.exports = {…}"
	case strings.Contains(stderr, "Cannot find"):
		return "install the package, beside the file; or have the file do without it"
	}
	return ""
}

// lastLines are the last lines of a text that say something.
func lastLines(text string) []string {
	const most = 12
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.TrimSpace(line) == "" })
	return lines[max(0, len(lines)-most):]
}
