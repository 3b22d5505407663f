package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/musterd/muster/internal/app"
)

// pkg is what matters of a package.json.
type pkg struct {
	Name    string            `json:"name"`
	Version string            `json:"version"`
	Scripts map[string]string `json:"scripts"`
	dir     string            // where it lies, absolute
}

func (p pkg) file() string { return filepath.Join(p.dir, "package.json") }

// findPackage reads the package.json of dir or of the nearest directory above.
func (r resolver) findPackage(why string) (pkg, error) {
	for dir := range upwards(r.dir) {
		p := pkg{dir: dir}
		data, err := os.ReadFile(p.file())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(data, &p)
		}
		if err != nil {
			return pkg{}, fault(why, "read "+p.file()+": "+reasonOf(err), "")
		}
		return p, nil
	}
	return pkg{}, fault(why, "there is no package.json in "+r.dir+" or above", "say where the package is with --cwd")
}

// upwards yields dir and the directories above it.
func upwards(dir string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for yield(dir) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
		}
	}
}

// bins returns the node_modules/.bin directories of dir and above, as npm puts them into PATH.
func bins(dir string) []string {
	var dirs []string
	for d := range upwards(dir) {
		if bin := filepath.Join(d, "node_modules", ".bin"); isDir(bin) {
			dirs = append(dirs, bin)
		}
	}
	return dirs
}

// noScript is the error for a script that a package does not have.
func (p pkg) noScript(why, name string) error {
	names := slices.Sorted(maps.Keys(p.Scripts))
	reason := fmt.Sprintf("%s has no script %q", p.file(), name)
	if len(names) == 0 {
		return fault(why, reason, "it has no scripts at all; name the program itself, after --")
	}
	hint := "its scripts are " + strings.Join(names, ", ")
	if near, ok := app.Nearest(name, names); ok {
		hint = "did you mean " + near + "? Its scripts are " + strings.Join(names, ", ")
	}
	return fault(why, reason, hint)
}

// env returns the variables that a package manager sets for a script, the ones that programs read.
func (p pkg) env(req request, script, from string) []string {
	if req.manager == "node" {
		return []string{"NODE_RUN_SCRIPT_NAME=" + req.name, "NODE_RUN_PACKAGE_JSON_PATH=" + p.file()}
	}
	return []string{
		"npm_lifecycle_event=" + req.name,
		"npm_lifecycle_script=" + script,
		"npm_package_name=" + p.Name,
		"npm_package_version=" + p.Version,
		"npm_package_json=" + p.file(),
		"INIT_CWD=" + from,
	}
}
