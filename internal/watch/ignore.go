package watch

import (
	"path"
	"path/filepath"
	"strings"
)

// Ignored are the names whose change never counts: folders of tools, and what editors leave while they save.
var Ignored = []string{
	".git", ".hg", ".svn", "node_modules", "__pycache__", "*.pyc", ".DS_Store",
	"*~", "*.swp", "*.swo", "*.swx", "4913", ".#*", "#*#", ".goutputstream-*", "___jb_*___",
}

// ignores tells whether a change at a path, relative to what is watched, does not count. A pattern without a slash is for each name on the
// way to it, one with a slash for the whole way or its beginning.
func ignores(patterns []string, relative string) bool {
	names := strings.Split(filepath.ToSlash(relative), "/")
	for _, pattern := range patterns {
		pattern = strings.TrimSuffix(strings.TrimPrefix(pattern, "./"), "/")
		depth := strings.Count(pattern, "/")
		for i, name := range names {
			switch {
			case depth > 0 && i == depth:
				name = strings.Join(names[:i+1], "/")
			case depth > 0:
				continue
			}
			if ok, err := path.Match(pattern, name); ok && err == nil {
				return true
			}
		}
	}
	return false
}
