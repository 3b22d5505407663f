package app

import (
	"path"
	"slices"
	"strings"
)

// maxAppName keeps an app's name short enough for file names, cgroups and Unix socket paths.
const maxAppName = 64

const nameHint = "a name has up to 64 letters, digits, dots, dashes and underscores, and begins with a letter or a digit"

func isNameByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '.' || b == '_' || b == '-'
}

// validName tells whether name has one to limit bytes that may stand in a name.
func validName(name string, limit int) bool {
	for i := range len(name) {
		if !isNameByte(name[i]) {
			return false
		}
	}
	return name != "" && len(name) <= limit
}

// sanitize replaces what may not stand in a name by dashes and cuts it to limit bytes.
func sanitize(text string, limit int) string {
	var b strings.Builder
	for i := range min(len(text), limit) {
		if isNameByte(text[i]) {
			b.WriteByte(text[i])
		} else {
			b.WriteByte('-')
		}
	}
	return b.String()
}

func checkAppName(name string) error {
	switch {
	case name == "all":
		return invalid("name", name, "means every app", "choose another name")
	case !validName(name, maxAppName) || strings.ContainsRune(".-_", rune(name[0])):
		return invalid("name", name, "is not a valid name", nameHint)
	}
	return nil
}

// scriptExtensions end the files that an interpreter runs.
var scriptExtensions = []string{".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx", ".jsx", ".py", ".rb", ".php", ".sh", ".pl"}

// optionsWithFile are options of interpreters whose next word is a file that is not the program.
var optionsWithFile = []string{"-r", "--require", "--import", "--loader", "--experimental-loader", "--env-file", "-c", "--config"}

// nameOf derives an app's name from its command: from the script that an interpreter runs, else from the program.
func nameOf(command []string) string {
	command = behindEnv(command)
	file := command[0]
	for i, word := range command[1:] {
		isScript := slices.Contains(scriptExtensions, path.Ext(word)) && !strings.HasPrefix(word, "-")
		if isScript && !slices.Contains(optionsWithFile, command[i]) {
			file = word
			break
		}
	}
	return DeriveName(strings.TrimSuffix(path.Base(file), path.Ext(file)))
}

// behindEnv is what `env NAME=value command` runs.
func behindEnv(command []string) []string {
	if base := path.Base(command[0]); base != "env" && base != "cross-env" {
		return command
	}
	for i, word := range command[1:] {
		if strings.HasPrefix(word, "-") {
			break
		}
		if !strings.Contains(word, "=") {
			return command[i+1:]
		}
	}
	return command
}

// DeriveName makes a valid name for an app of any text.
func DeriveName(text string) string {
	name := strings.Trim(sanitize(text, maxAppName), ".-_")
	if name == "" || name == "all" {
		return "app"
	}
	return name
}
