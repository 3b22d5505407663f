package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Find returns what masters of that name have left. There may be more than one, in different bases, and each may be dead.
func Find(name string) ([]Info, error) {
	all, err := All()
	return slices.DeleteFunc(all, func(i Info) bool { return i.Name != name }), err
}

// All returns what the masters of this user have left, by name. Whether one lives is told by its socket: nobody answers on that of a dead
// one.
func All() ([]Info, error) {
	var all []Info
	for _, base := range bases() {
		if !trusted(base) {
			continue
		}
		entries, err := os.ReadDir(base)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list running masters: %w", err)
		}
		for _, entry := range entries {
			if strings.HasPrefix(entry.Name(), ".") {
				continue
			}
			if info, err := readInfo(filepath.Join(base, entry.Name())); err == nil {
				all = append(all, info)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// trusted tells whether what stands in a base was written by this user. A folder that the user names is the user's choice.
func trusted(base string) bool {
	info, err := os.Lstat(base)
	return err == nil && info.IsDir() && (owner(info) == os.Geteuid() || os.Getenv(homeVariable) != "")
}

func readInfo(dir string) (Info, error) {
	text, err := os.ReadFile(filepath.Join(dir, infoFile))
	if err != nil {
		return Info{}, err
	}
	var info Info
	if err := json.Unmarshal(text, &info); err != nil {
		return Info{}, fmt.Errorf("read %s: %w", filepath.Join(dir, infoFile), err)
	}
	return info, nil
}
