package rundir

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// search is the permission to go through a folder to a name that one knows.
const search = 0o011

// makeShared makes a private folder that others may go through.
func makeShared(base string) (string, error) {
	if !isOpen(base) {
		if err := os.Chmod(base, 0o700|search); err != nil {
			return "", fmt.Errorf("let workers of another user through: %w", err)
		}
	}
	for _, dir := range slices.Compact([]string{base, os.TempDir(), "/tmp"}) {
		if !isOpen(dir) {
			continue
		}
		path, err := makePrivateIn(dir)
		if err != nil {
			continue
		}
		return path, os.Chmod(path, 0o700|search)
	}
	return "", &closedError{base}
}

// IsShared tells whether others may go through the private folder.
func (f *Folder) IsShared() bool {
	info, err := os.Stat(f.private)
	return err == nil && info.Mode().Perm()&search == search
}

// isOpen tells whether everybody may go through all folders of an absolute path.
func isOpen(path string) bool {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	for {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if path == filepath.Dir(path) {
			return true
		}
		path = filepath.Dir(path)
	}
}

// closedError says that no folder can be shared.
type closedError struct{ base string }

func (e *closedError) Error() string {
	return "make a folder that workers of another user can reach: neither " + e.base + " nor /tmp lets them through"
}

// Hint says what to do.
func (e *closedError) Hint() string {
	return "set " + homeVariable + " to a folder that everybody may go through, as below /var/lib or /run"
}
