package command

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/musterd/muster/internal/app"
)

// nearHint suggests a file of a similar name in the same directory.
func nearHint(file string) string {
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil {
		return "a relative path counts from the working directory, see --cwd"
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	if near, ok := app.Nearest(filepath.Base(file), names); ok {
		return "did you mean " + near + "?"
	}
	return "a relative path counts from the working directory, see --cwd"
}

// dirHint tells how to run what lies in a directory.
func dirHint(dir, name string) string {
	if isRegular(filepath.Join(dir, "package.json")) {
		return "to run its package: muster run --cwd " + name + " -- npm start"
	}
	for _, main := range []string{"index.js", "server.js", "app.js", "main.js", "main.py", "app.py"} {
		if isRegular(filepath.Join(dir, main)) {
			return "did you mean " + strings.TrimSuffix(name, "/") + "/" + main + "?"
		}
	}
	return "name a file in it"
}
