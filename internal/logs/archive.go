package logs

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A file that is full is put aside under its own name and the moment, and compressed some time later:
//
//	out.log                                 what is written now
//	out.log.20260102T150405.000000Z         an archive
//	out.log.20260102T150405.000000Z.gz      an older one
//
// The moments of one file's archives are all different and never go back, whatever the clock does.
const (
	stampForm  = "20060102T150405.000000Z"
	gzipSuffix = ".gz"
	tempSuffix = ".tmp" // of a compressed file that is not complete
	nextSuffix = ".new" // of an empty file that is about to take the place of a full one
)

// Archive is a log file that was put aside.
type Archive struct {
	Path    string
	Closed  time.Time // when it was put aside: no line in it is younger
	Gzipped bool
}

// Archives returns those of the file at path, the oldest first. One that is there twice, since its compression was interrupted at its very end,
// is returned once.
func Archives(path string) ([]Archive, error) {
	var all []Archive
	for range 2 { // a folder of many files is read in parts: one that is being compressed may be in neither, but not twice
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, entry := range entries {
			if a, ok := archiveOf(path, entry.Name()); ok {
				all = append(all, a)
			}
		}
		if len(entries) < readAtOnce {
			break
		}
	}
	slices.SortFunc(all, func(a, b Archive) int { return cmp.Or(a.Closed.Compare(b.Closed), cmp.Compare(b.Path, a.Path)) })
	return slices.CompactFunc(all, func(a, b Archive) bool { return a.Closed.Equal(b.Closed) }), nil
}

// readAtOnce is up to how many files of a folder the kernel tells in one part.
const readAtOnce = 50

// archiveOf tells whether name is that of an archive of path.
func archiveOf(path, name string) (Archive, bool) {
	text, ok := strings.CutPrefix(name, filepath.Base(path)+".")
	if !ok {
		return Archive{}, false
	}
	text, gzipped := strings.CutSuffix(text, gzipSuffix)
	closed, err := time.Parse(stampForm, text)
	if err != nil || len(text) != len(stampForm) {
		return Archive{}, false
	}
	return Archive{Path: filepath.Join(filepath.Dir(path), name), Closed: closed, Gzipped: gzipped}, true
}

// archivePath is where a file that is put aside at that moment goes.
func archivePath(path string, at time.Time) string { return path + "." + at.UTC().Format(stampForm) }

// Open reads the archive, whether it is compressed or not; it may be compressed while it is read.
func (a Archive) Open() (io.ReadCloser, error) {
	f, err := os.Open(strings.TrimSuffix(a.Path, gzipSuffix))
	if err == nil {
		return f, nil
	}
	if f, err = os.Open(strings.TrimSuffix(a.Path, gzipSuffix) + gzipSuffix); err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", f.Name(), err), f.Close())
	}
	return &unpacking{unpacked, f}, nil
}

// ReadAll returns the text of the archive.
func (a Archive) ReadAll() ([]byte, error) {
	r, err := a.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// unpacking closes the file below.
type unpacking struct {
	*gzip.Reader
	file *os.File
}

func (u *unpacking) Close() error { return errors.Join(u.Reader.Close(), u.file.Close()) }
