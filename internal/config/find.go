package config

import (
	"os"
	"path/filepath"
	"strings"
)

// usual are the names that an app file has, in the order in which they are looked for.
var usual = []string{
	"muster.yaml", "muster.yml", "muster.json",
	"ecosystem.config.js", "ecosystem.config.cjs", "ecosystem.config.mjs", "ecosystem.config.json", "ecosystem.config.yaml", "ecosystem.config.yml",
	"Procfile",
}

// NotFound says that a folder has no app file.
type NotFound struct{ Dir string }

// Error says so.
func (e *NotFound) Error() string { return "there is no app file in " + e.Dir }

// Hint says what would be one.
func (e *NotFound) Hint() string { return "write one, as muster.yaml, or name a file" }

// Find returns the app file of a folder: muster.yaml, or what there is instead. The error is a *NotFound.
func Find(dir string) (string, error) {
	for _, name := range usual {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file, nil
		}
	}
	return "", &NotFound{Dir: dir}
}

// inFolder is file itself, or, if that is a folder, its app file.
func inFolder(file string) string {
	if found, err := Find(file); err == nil {
		return found
	}
	return file
}

// form is a way to write app files.
type form int

const (
	formNone form = iota
	formYAML
	formJSON
	formJavaScript
	formProcfile
)

// isEcosystem tells by its name whether a file is one of PM2's.
func isEcosystem(file string) bool {
	base := strings.ToLower(filepath.Base(file))
	name := strings.TrimSuffix(base, filepath.Ext(base))
	return strings.HasSuffix(name, ".config") || strings.HasPrefix(name, "ecosystem") || strings.Contains(name, "pm2") || name == "process" || name == "processes"
}

// formOf tells by its name how a file is written.
func formOf(file string) form {
	if base := filepath.Base(file); base == "Procfile" || strings.HasPrefix(base, "Procfile.") {
		return formProcfile
	}
	switch strings.ToLower(filepath.Ext(file)) {
	case ".yaml", ".yml":
		return formYAML
	case ".json":
		return formJSON
	case ".js", ".cjs", ".mjs":
		if strings.HasSuffix(strings.TrimSuffix(file, filepath.Ext(file)), ".config") {
			return formJavaScript
		}
	}
	return formNone
}

// IsAppFile tells by its name whether a file holds apps, as opposed to a program.
func IsAppFile(file string) bool { return formOf(file) != formNone }

// read reads what a file holds.
func (s *source) read(data []byte) {
	form := formOf(s.file)
	if form != formNone && form != formProcfile && isEcosystem(s.file) {
		s.ecosystem(data)
		return
	}
	switch form {
	case formYAML:
		s.muster(data, s.parseYAML)
	case formJSON:
		s.muster(data, s.parseJSON)
	case formProcfile:
		s.procfile(data)
	case formJavaScript, formNone:
		s.fail(Position{File: s.file}, "is not called as an app file", "call it muster.yaml, or anything that ends with .yaml; a file of PM2 is called ecosystem.config.js, others are Procfile")
	}
}
