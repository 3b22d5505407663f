package logread

import (
	"errors"
	"io/fs"
	"os"

	"github.com/musterd/muster/internal/logs"
)

// Empty empties the files of a source and removes their archives, and returns how many files there were and of how many bytes. Who writes to them
// goes on at their beginning.
func (s *Source) Empty() (files int, size int64, err error) {
	for _, path := range s.paths() {
		info, statErr := os.Lstat(path)
		if errors.Is(statErr, fs.ErrNotExist) || statErr == nil && !info.Mode().IsRegular() {
			continue
		}
		if err := errors.Join(statErr, os.Truncate(path, 0)); err != nil {
			return files, size, err
		}
		files, size = files+1, size+info.Size()
		archives, err := logs.Archives(path)
		if err != nil {
			return files, size, err
		}
		for _, a := range archives {
			if info, err := os.Lstat(a.Path); err == nil {
				size += info.Size()
			}
			if err := os.Remove(a.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return files, size, err
			}
			files++
		}
	}
	return files, size, nil
}
