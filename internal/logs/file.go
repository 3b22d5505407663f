package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Rotation says when a file is put aside, and what becomes of the archives. The zero value never does and keeps everything.
type Rotation struct {
	MaxSize  int64         // a file does not grow beyond, in bytes; zero: no bound
	Every    time.Duration // a file that is so old is put aside; zero: never
	Keep     int           // archives that are kept; zero: all
	MaxAge   time.Duration // an archive that is so old is removed; zero: never
	Compress bool          // archives, with gzip
	// CompressAfter is how old an archive is at least when it is compressed: in a flood of lines archives come and go quickly, and the CPU has
	// better to do.
	CompressAfter time.Duration
}

// Modes of what is made here: lines may tell secrets.
const (
	fileMode    = 0o640
	privateMode = 0o600 // of a file in a folder that is its owner's alone
	dirMode     = 0o750
)

// modeOf is the mode of a new file at path: as private as its folder.
func modeOf(path string) os.FileMode {
	if dir, err := os.Stat(filepath.Dir(path)); err == nil && dir.Mode().Perm()&0o077 == 0 {
		return privateMode
	}
	return fileMode
}

// lookEvery is how long a file may be written after it was moved away or removed by somebody else, before that is noticed.
const lookEvery = time.Second

// File is a log file that puts itself aside as its Rotation says. It writes whole lines, and is never left with a torn one by a write that
// fails in the middle. If somebody else moves or removes the file, lines go to a new one.
type File struct {
	path   string
	rotate Rotation
	house  *house

	mu     sync.Mutex
	f      *os.File
	plain  bool // a regular file, not a FIFO or a device
	size   int64
	begun  time.Time // when the first line of the file may have been written
	looked time.Time // when it was still at its path
	torn   bool      // it ends with part of a line
	tried  time.Time // when putting it aside has failed
}

// OpenError says which file cannot be written.
type OpenError struct {
	Path string
	Err  error
}

func (e *OpenError) Error() string { return fmt.Sprintf("open log file %s: %v", e.Path, e.Err) }

// Unwrap gives the reason.
func (e *OpenError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *OpenError) Hint() string {
	return "choose a folder that muster may write to, with --log-dir, or a file, with --log-out and --log-err"
}

// OpenFile opens the file at path to add lines to it, and makes it and its folder where need be. The error is an *OpenError. Its goroutine,
// which looks after the archives, ends at Close.
func OpenFile(path string, r Rotation) (*File, error) {
	f := &File{path: path, rotate: r}
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return nil, &OpenError{Path: path, Err: reason(err)}
	}
	if err := f.open(); err != nil {
		return nil, &OpenError{Path: path, Err: reason(err)}
	}
	f.house = keepHouse(path, r)
	return f, nil
}

// reason takes off the path, which stands in the message already.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// open opens the path and goes on behind what is there.
func (f *File) open() error {
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|nonblock, modeOf(f.path))
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.use(file, info)
	return nil
}

// use makes file the one that is written.
func (f *File) use(file *os.File, info os.FileInfo) {
	if f.f != nil {
		_ = f.f.Close()
	}
	f.f, f.plain, f.size, f.looked = file, info.Mode().IsRegular(), info.Size(), time.Now()
	f.torn = f.plain && f.size > 0 && !endsLine(f.path, f.size)
	f.begun = beginOf(f.path, info)
}

// endsLine tells whether the last line of a file has its end. One that a killed master has begun may have none.
func endsLine(path string, size int64) bool {
	file, err := os.Open(path)
	if err != nil {
		return true
	}
	defer file.Close()
	last := make([]byte, 1)
	_, err = file.ReadAt(last, size-1)
	return err != nil || last[0] == '\n'
}

// beginOf is when the file was begun: when the last one was put aside, if it is known, else the file's own birth or last change.
func beginOf(path string, info os.FileInfo) time.Time {
	if info.Size() == 0 {
		return time.Now()
	}
	begun := birth(path, info)
	if all, err := Archives(path); err == nil && len(all) > 0 && all[len(all)-1].Closed.After(begun) {
		return all[len(all)-1].Closed
	}
	return begun
}

// Write adds whole lines. On an error n is as many bytes as stand in the file, which are whole lines.
func (f *File) Write(p []byte) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.look(now)
	for n < len(p) && err == nil {
		part := p[n:]
		if f.rotates() {
			part = part[:f.room(part, now)]
		}
		var written int
		written, err = f.write(part)
		n += written
	}
	return n, err
}

func (f *File) rotates() bool { return f.plain && (f.rotate.MaxSize > 0 || f.rotate.Every > 0) }

// room is how much of p still belongs into this file, which is put aside before where that is due.
func (f *File) room(p []byte, now time.Time) int {
	fits := f.fits(p)
	old := f.rotate.Every > 0 && now.Sub(f.begun) >= f.rotate.Every
	if f.size > 0 && (fits == 0 || old) && now.Sub(f.tried) >= lookEvery {
		if err := f.putAside(now); err != nil {
			f.tried = now // it grows on
		}
		fits = f.fits(p)
	}
	if fits == 0 {
		return len(p)
	}
	return fits
}

// fits is how much of p, in whole lines, keeps the file within its size; an empty one takes a line of any length.
func (f *File) fits(p []byte) int {
	if f.rotate.MaxSize == 0 {
		return len(p)
	}
	room := f.rotate.MaxSize - f.size
	if int64(len(p)) <= room {
		return len(p)
	}
	if end := bytes.LastIndexByte(p[:max(room, 0)], '\n') + 1; end > 0 || f.size > 0 {
		return end
	}
	if end := bytes.IndexByte(p, '\n') + 1; end > 0 {
		return end
	}
	return len(p)
}

// write adds p to the file as it is.
func (f *File) write(p []byte) (int, error) {
	if f.torn {
		if _, err := f.f.Write(newline); err != nil {
			return 0, err
		}
		f.torn = false
		f.size++
	}
	n, err := f.f.Write(p)
	f.size += int64(n)
	if err == nil || n == 0 {
		return n, err
	}
	whole := bytes.LastIndexByte(p[:n], '\n') + 1
	f.tear(n - whole)
	return whole, err
}

// tear takes back the part of a line that a failed write has left.
func (f *File) tear(part int) {
	if part == 0 {
		return
	}
	if f.plain && f.f.Truncate(f.size-int64(part)) == nil {
		f.size -= int64(part)
		return
	}
	f.torn = true
}

// look notices, once in a while, that the file is not at its path any more, or was emptied.
func (f *File) look(now time.Time) {
	if !f.plain || now.Sub(f.looked) < lookEvery {
		return
	}
	f.looked = now
	there, err := os.Stat(f.path)
	here, bad := f.f.Stat()
	switch {
	case bad != nil:
	case err == nil && os.SameFile(there, here):
		f.size = here.Size()
	case err == nil || errors.Is(err, fs.ErrNotExist):
		_ = f.reopen() // else the old one is still better than none
	}
}

// Reopen leaves the file to who has moved it away, and goes on with the one at the path.
func (f *File) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reopen()
}

func (f *File) reopen() error {
	if err := os.MkdirAll(filepath.Dir(f.path), dirMode); err != nil {
		return &OpenError{Path: f.path, Err: reason(err)}
	}
	if err := f.open(); err != nil {
		return &OpenError{Path: f.path, Err: reason(err)}
	}
	return nil
}

// putAside makes the file an archive and begins a new one. If it cannot, the file stays.
func (f *File) putAside(now time.Time) error {
	next, err := os.OpenFile(f.path+nextSuffix, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_TRUNC, modeOf(f.path))
	if err != nil {
		return err
	}
	info, err := next.Stat()
	if err == nil {
		err = os.Rename(f.path, archivePath(f.path, f.moment(now)))
	}
	if err == nil {
		err = os.Rename(next.Name(), f.path)
	}
	if err != nil {
		return errors.Join(err, next.Close(), os.Remove(f.path+nextSuffix))
	}
	f.use(next, info)
	f.house.rouse()
	return nil
}

// moment is now, or later than that of the last archive if the clock was set back.
func (f *File) moment(now time.Time) time.Time {
	now = now.UTC().Truncate(time.Microsecond)
	all, err := Archives(f.path)
	if err != nil || len(all) == 0 {
		return now
	}
	if last := all[len(all)-1].Closed; !now.After(last) {
		return last.Add(time.Microsecond)
	}
	return now
}

// Path is where the file is.
func (f *File) Path() string { return f.path }

// Close closes the file, and ends what looks after the archives.
func (f *File) Close() error {
	f.house.close()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f.Close()
}
