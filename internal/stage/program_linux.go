package stage

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// defaultPath is searched when the environment has no PATH, as execvp(3) does.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// lookup finds a program without a slash in the PATH of env. An empty element
// of PATH is skipped: the working directory is searched only if it is named.
func lookup(name string, env []string) (string, error) {
	if name == "" {
		return "", errors.New("no program given")
	}
	if strings.Contains(name, "/") {
		return name, nil
	}
	err := error(unix.ENOENT)
	for _, dir := range filepath.SplitList(pathOf(env)) {
		if dir == "" {
			continue
		}
		candidate := filepath.Join(dir, name)
		switch found := executable(candidate); {
		case found == nil:
			return explicit(candidate), nil
		case errors.Is(found, unix.EACCES):
			err = found
		}
	}
	return "", err
}

// explicit keeps a program found in "." recognisable as a path.
func explicit(path string) string {
	if strings.Contains(path, "/") {
		return path
	}
	return "./" + path
}

func pathOf(env []string) string {
	path := defaultPath
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = value
		}
	}
	return path
}

func executable(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return unix.EACCES
	}
	return unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS)
}

// explain names the thing that is missing when the program is there and the
// kernel says it is not: its interpreter.
func explain(path string, err error) error {
	if !errors.Is(err, unix.ENOENT) {
		return fail(OpExec, path, err)
	}
	interpreter, ierr := interpreterOf(path)
	if ierr != nil || interpreter == "" {
		return fail(OpExec, path, err)
	}
	return fail("exec interpreter", interpreter, fmt.Errorf("%w (wanted by %s)", err, path))
}

// interpreterOf is the interpreter of a script ("#!") or the dynamic loader of
// an ELF program; empty if it has none.
func interpreterOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	if rest, ok := strings.CutPrefix(line, "#!"); ok {
		return firstWord(rest), nil
	}
	if err != nil && line == "" {
		return "", err
	}
	return loaderOf(f)
}

func firstWord(text string) string {
	for word := range strings.FieldsSeq(text) {
		return word
	}
	return ""
}

func loaderOf(f *os.File) (string, error) {
	program, err := elf.NewFile(f)
	if err != nil {
		return "", err
	}
	for _, p := range program.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		data := make([]byte, p.Filesz)
		if _, err := p.ReadAt(data, 0); err != nil {
			return "", err
		}
		return strings.TrimRight(string(data), "\x00"), nil
	}
	return "", nil
}
