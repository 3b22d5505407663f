package command

import (
	"path"
	"slices"
	"strings"
)

// valueOptions are Node's options whose value may be the next word (node --help). Options of V8 take theirs after an equals sign only.
var valueOptions = []string{
	"-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "--env-file", "--env-file-if-exists",
	"--allow-fs-read", "--allow-fs-write", "--cpu-prof-dir", "--cpu-prof-interval", "--cpu-prof-name", "--diagnostic-dir", "--disable-proto",
	"--disable-warning", "--dns-result-order", "--experimental-default-type", "--heap-prof-dir", "--heap-prof-interval", "--heap-prof-name",
	"--heapsnapshot-near-heap-limit", "--heapsnapshot-signal", "--icu-data-dir", "--input-type", "--inspect-port", "--inspect-publish-uid",
	"--localstorage-file", "--max-http-header-size", "--network-family-autoselection-attempt-timeout", "--openssl-config", "--redirect-warnings",
	"--report-directory", "--report-dir", "--report-filename", "--report-signal", "--secure-heap", "--secure-heap-min", "--snapshot-blob",
	"--stack-trace-limit", "--title", "--tls-cipher-list", "--tls-keylog", "--trace-event-categories", "--trace-event-file-pattern",
	"--trace-require-module", "--unhandled-rejections", "--use-largepages", "--v8-pool-size", "--watch-path",
}

// aloneOptions are Node's options that leave no script to take part in the cluster, and what to note of them.
var aloneOptions = map[string]string{
	"-e": evalNote, "--eval": evalNote, "-p": evalNote, "--print": evalNote, "-pe": evalNote, "-": stdinNote,
	"--watch": watchNote, "--watch-path": watchNote, "--test": testNote, "inspect": inspectNote,
}

const (
	evalNote    = "node takes part in its cluster only with a script in a file, so this program gets no sockets that way; put the text into a file"
	stdinNote   = "there is no script, and a worker has nothing on its standard input; name a file for node to run"
	watchNote   = "node --watch starts the program in a process of its own, so it gets no sockets through node's cluster; leave --watch out"
	testNote    = "node --test starts the tests in processes of their own, so they get no sockets through node's cluster"
	inspectNote = "node inspect starts the program in a process of its own, so it gets no sockets through node's cluster; use node --inspect"
)

// node resolves a command line of Node itself.
func (r resolver) node(args []string) (Command, error) {
	if script, rest, ok := runOption(args); ok {
		return r.script(request{manager: "node", name: script, args: rest})
	}
	file, err := r.look(args[0])
	if err != nil {
		return Command{}, err
	}
	c := Command{Argv: args, Path: file, Dir: r.dir}
	script, note := scriptOf(args[1:])
	if note != "" {
		c.Notes = []string{note}
		return c, nil
	}
	c.Node = true
	if namesScript(script) && !isRegular(r.abs(script)) {
		return Command{}, r.checkProgram(script)
	}
	return c, nil
}

// namesScript tells whether a word can only be a script's file name: without an extension node tries several.
func namesScript(word string) bool {
	ext := path.Ext(word)
	return (isJavaScript(ext) || isTypeScript(ext)) && !strings.ContainsAny(word, "$*?{}")
}

// scriptOf returns the script in the arguments of Node, or a note on why there is none that could be a cluster's worker.
func scriptOf(args []string) (script, note string) {
	for i := 0; i < len(args); i++ {
		word, _, _ := strings.Cut(args[i], "=")
		switch {
		case aloneOptions[word] != "":
			return "", aloneOptions[word]
		case args[i] == "--":
			return scriptAfter(args[i+1:])
		case !strings.HasPrefix(args[i], "-"):
			return args[i], ""
		case slices.Contains(valueOptions, args[i]):
			i++
		}
	}
	return "", stdinNote
}

func scriptAfter(args []string) (script, note string) {
	if len(args) == 0 {
		return "", stdinNote
	}
	return args[0], ""
}

// runOption finds `node --run script [-- args]`, which passes the variables of a channel on, but not its descriptor.
func runOption(args []string) (script string, rest []string, ok bool) {
	if len(args) < 2 {
		return "", nil, false
	}
	if script, ok = strings.CutPrefix(args[1], "--run="); ok {
		return script, afterDashes(args[2:]), true
	}
	if args[1] == "--run" && len(args) > 2 {
		return args[2], afterDashes(args[3:]), true
	}
	return "", nil, false
}

func afterDashes(args []string) []string {
	if len(args) > 0 && args[0] == "--" {
		return args[1:]
	}
	return args
}
