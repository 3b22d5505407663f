package command

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// look returns the absolute path of a program: name itself if it has a slash, else the first of that name in the PATH.
func (r resolver) look(name string) (string, error) {
	if strings.Contains(name, "/") {
		return r.abs(name), r.checkProgram(name)
	}
	if file, ok := r.inPath(name); ok {
		return file, nil
	}
	return "", fault(name, "not found in PATH", r.missingHint(name))
}

func (r resolver) inPath(name string) (string, bool) {
	for _, dir := range filepath.SplitList(r.path) {
		if dir == "" {
			continue // would mean the current directory; a manager that runs for weeks should not guess which
		}
		if file := filepath.Join(r.abs(dir), name); isExecutable(file) {
			return file, true
		}
	}
	return "", false
}

func (r resolver) missingHint(name string) string {
	switch {
	case isAssignment(name):
		return "set variables with --env " + name
	case isRegular(r.abs(name)):
		return "for the file in " + r.dir + " write ./" + name
	case isNode(name):
		return "install Node.js, or put the directory of node into PATH"
	}
	return "install it, or put its directory into PATH"
}

func (r resolver) checkProgram(name string) error {
	file := r.abs(name)
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault(name, r.absence(file), nearHint(file))
	case err != nil:
		return fault(name, reasonOf(err), "")
	case info.IsDir():
		return fault(name, "is a directory", dirHint(file, name))
	case !info.Mode().IsRegular():
		return fault(name, "is not a regular file", "")
	case !isExecutable(file):
		return fault(name, "is not executable", "run chmod +x "+name+", or put the program that runs it first: muster run -- PROGRAM "+name)
	}
	return nil
}

// absence says what is missing: the file, or already its directory.
func (r resolver) absence(file string) string {
	if dir := filepath.Dir(file); !isDir(dir) {
		return "there is no directory " + dir
	}
	return "no such file in " + filepath.Dir(file)
}

// reasonOf returns the cause of a file system's error, without the path.
func reasonOf(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}

func isRegular(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}

func isDir(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}

func isExecutable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// maxShebang is how much of a script's first line the kernel reads (BINPRM_BUF_SIZE, execve(2)).
const maxShebang = 256

// shebang returns the program that the first line of a script names, with env(1) looked through; empty for anything but a script.
// It is an error if that program does not exist: the kernel would say that the script does not.
func (r resolver) shebang(file string) (string, error) {
	words := shebangWords(file)
	if len(words) == 0 {
		return "", nil
	}
	if path.Base(words[0]) != "env" {
		if !isRegular(r.abs(words[0])) {
			return "", fault(file, "its interpreter "+words[0]+" does not exist", "install it, or correct the first line of the file")
		}
		return words[0], nil
	}
	name := afterEnv(words[1:])
	if name == "" || strings.Contains(name, "/") {
		return name, nil
	}
	found, ok := r.inPath(name)
	if !ok {
		return "", fault(file, "its interpreter "+name+" was not found in PATH", r.missingHint(name))
	}
	return found, nil
}

// shebangWords returns the words behind "#!" in a file's first line.
func shebangWords(file string) []string {
	first, _, _ := bytes.Cut(head(file, maxShebang), []byte("\n"))
	rest, ok := bytes.CutPrefix(first, []byte("#!"))
	if !ok {
		return nil
	}
	return strings.Fields(string(rest))
}

// afterEnv returns the program in the arguments of env.
func afterEnv(words []string) string {
	for _, word := range words {
		if !strings.HasPrefix(word, "-") && !isAssignment(word) {
			return word
		}
	}
	return ""
}

// head returns up to n bytes from a file's beginning, none if it cannot be read.
func head(file string, n int64) []byte {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, n))
	if err != nil {
		return nil
	}
	return data
}

// launchesNode tells whether a script is one of those that package managers write into node_modules/.bin: they exec node.
func launchesNode(file string) bool {
	if filepath.Base(filepath.Dir(file)) != ".bin" {
		return false
	}
	text := head(file, 4096)
	return bytes.Contains(text, []byte("exec node ")) || bytes.Contains(text, []byte(`exec "$basedir/node"`))
}
