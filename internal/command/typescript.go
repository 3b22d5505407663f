package command

import (
	"context"
	"fmt"
	"os/exec"
	"path"
	"strings"
	"time"
)

func isTypeScript(ext string) bool {
	return ext == ".ts" || ext == ".mts" || ext == ".cts" || ext == ".tsx"
}

// version is a version of Node: major, minor.
type version [2]int

func (v version) before(w version) bool { return v[0] < w[0] || v[0] == w[0] && v[1] < w[1] }

// stripFlag makes Node remove types where it does not do so by itself.
const stripFlag = "--experimental-strip-types"

// stripping returns the options with which a version of Node runs TypeScript: it removes types by itself from 22.18 and 23.6 on, and with
// a flag from 22.6 on (nodejs.org/api/typescript.html).
func stripping(v version) (options []string, ok bool) {
	switch {
	case v.before(version{22, 6}):
		return nil, false
	case v.before(version{22, 18}), v[0] == 23 && v.before(version{23, 6}):
		return []string{stripFlag}, true
	}
	return nil, true
}

// typeScript resolves a TypeScript file.
func (r resolver) typeScript(args []string) (Command, error) {
	hint := "install tsx in the project and run: muster run -- node --import tsx " + args[0]
	if path.Ext(args[0]) == ".tsx" {
		return Command{}, fault(args[0], "node does not run files with JSX", hint)
	}
	node, ok := r.inPath("node")
	if !ok {
		return Command{}, noInterpreter(args[0], [][]string{{"node"}})
	}
	v, text := r.nodeVersion(node)
	options, ok := stripping(v)
	if !ok {
		return Command{}, fault(args[0], "this version of node does not run TypeScript: "+text, hint)
	}
	argv := append(append([]string{"node"}, options...), args...)
	return Command{Argv: argv, Path: node, Dir: r.dir, Node: true}, nil
}

// versionPatience bounds `node --version`; version managers put slow scripts in node's place.
const versionPatience = 10 * time.Second

// nodeVersion asks a Node for its version. The text is what it answered, or why it did not.
func (r resolver) nodeVersion(node string) (version, string) {
	ctx, cancel := context.WithTimeout(context.Background(), versionPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "--version")
	cmd.Dir = r.dir
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return version{}, err.Error()
	}
	text := strings.TrimSpace(string(out))
	var v version
	if _, err := fmt.Sscanf(text, "v%d.%d.", &v[0], &v[1]); err != nil {
		return version{}, fmt.Sprintf("%q", text)
	}
	return v, text
}
