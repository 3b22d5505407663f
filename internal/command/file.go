package command

import (
	"fmt"
	"path"
	"strings"
)

// interpreters are the programs that run a file, by its extension, the first that is found; with the options they get.
// -u keeps Python from holding back what it prints when it prints into a pipe.
var interpreters = map[string][][]string{
	".js":  {{"node"}},
	".mjs": {{"node"}},
	".cjs": {{"node"}},
	".py":  {{"python3", "-u"}, {"python", "-u"}},
	".rb":  {{"ruby"}},
	".php": {{"php"}},
	".sh":  {{"bash"}, {"sh"}},
}

// file resolves a file and the arguments for it. A word without a slash that names no file may be a program.
func (r resolver) file(args []string) (Command, error) {
	name, ext := args[0], path.Ext(args[0])
	file := r.abs(name)
	known := interpreters[ext] != nil || isTypeScript(ext)
	if !strings.Contains(name, "/") && !known && !isExecutable(file) {
		if _, ok := r.inPath(name); ok {
			return r.command(args)
		}
	}
	if !isRegular(file) {
		return Command{}, r.notAFile(name, known)
	}
	switch {
	case isJavaScript(ext):
		return r.interpreted(args, ext)
	case isExecutable(file) && (!known || len(shebangWords(file)) > 0):
		return r.command(append([]string{file}, args[1:]...))
	case isTypeScript(ext):
		return r.typeScript(args)
	case known:
		return r.interpreted(args, ext)
	}
	return Command{}, r.checkProgram(name)
}

// notAFile returns the error for a name that is no regular file.
func (r resolver) notAFile(name string, known bool) error {
	if known || strings.Contains(name, "/") || isDir(r.abs(name)) {
		return r.checkProgram(name)
	}
	return fault(name, "is neither a file in "+r.dir+" nor a program in PATH", nearHint(r.abs(name)))
}

func isJavaScript(ext string) bool { return ext == ".js" || ext == ".mjs" || ext == ".cjs" }

// interpreted puts the interpreter for a file's extension before it.
func (r resolver) interpreted(args []string, ext string) (Command, error) {
	candidates := interpreters[ext]
	for _, words := range candidates {
		if file, ok := r.inPath(words[0]); ok {
			argv := append(append([]string{}, words...), args...)
			return Command{Argv: argv, Path: file, Dir: r.dir, Node: isNode(words[0])}, nil
		}
	}
	return Command{}, noInterpreter(args[0], candidates)
}

func noInterpreter(file string, candidates [][]string) error {
	names := make([]string, len(candidates))
	for i, words := range candidates {
		names[i] = words[0]
	}
	hint := fmt.Sprintf("install it, or name the program that runs the file: muster run -- PROGRAM %s", file)
	return fault(file, strings.Join(names, " or ")+" not found in PATH", hint)
}
