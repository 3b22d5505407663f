package logread

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/musterd/muster/internal/logs"
)

// file is a log file with its archives, from which lines are read in order.
type file struct {
	path   string
	source Source

	f        *os.File // what was at the path when it was opened; nil: nothing
	archives []logs.Archive
	last     time.Time // when the youngest archive known was put aside
	offset   int64     // of f: what is behind has not been read
	part     []byte    // of a line, before offset
	at       time.Time // of the last line that had a time
}

// openFile opens what is at the path now, and its archives at the same moment.
func openFile(path string, s Source) (*file, error) {
	f := &file{path: path, source: s}
	var err error
	f.f, f.archives, err = openBoth(path)
	if n := len(f.archives); n > 0 {
		f.last = f.archives[n-1].Closed
	}
	return f, err
}

// openBoth looks again if the file was put aside between the two.
func openBoth(path string) (*os.File, []logs.Archive, error) {
	for {
		f, err := os.Open(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		archives, err := logs.Archives(path)
		if err == nil && isAt(f, path) {
			return f, archives, nil
		}
		closeFile(f)
		if err != nil {
			return nil, nil, err
		}
	}
}

// isAt tells whether the file is at the path still; no file is there if nothing is.
func isAt(f *os.File, path string) bool {
	there, err := os.Stat(path)
	if f == nil || err != nil {
		return f == nil && err != nil
	}
	here, err := f.Stat()
	return err == nil && os.SameFile(here, there)
}

func closeFile(f *os.File) {
	if f != nil {
		_ = f.Close()
	}
}

// line parses a line, which has the time of the one before it if it has none.
func (f *file) line(raw []byte) Line {
	l := Parse(raw, f.source.App)
	if l.Time.IsZero() {
		l.Time = f.at
	}
	f.at = l.Time
	return l
}

// keeps tells whether a line is wanted.
func (f *file) keeps(q Query, l Line) bool {
	return (f.source.Any || l.Source.App == f.source.App) && q.keeps(l)
}

// size is how much of the file is read now: up to its last whole line, or, with rest, an unfinished one as well.
func (f *file) size(rest bool) int64 {
	if f.f == nil {
		return 0
	}
	info, err := f.f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	size := info.Size()
	if rest {
		return size
	}
	block := make([]byte, 64<<10)
	for size > 0 {
		from := max(0, size-int64(len(block)))
		n, _ := f.f.ReadAt(block[:size-from], from)
		if end := bytes.LastIndexByte(block[:n], '\n'); end >= 0 {
			return from + int64(end) + 1
		}
		size = from
	}
	return 0
}

// all are the lines of archives and file, the oldest first.
func (f *file) all(q Query, size int64) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		for _, a := range f.archives {
			if a.Closed.Before(q.Since) {
				continue
			}
			r, err := a.Open()
			if err != nil {
				continue // it was removed meanwhile
			}
			more := f.pass(r, q, yield)
			_ = r.Close()
			if !more {
				return
			}
		}
		if f.f != nil {
			f.pass(io.NewSectionReader(f.f, 0, size), q, yield)
		}
	}
}

// pass is false when nothing more is wanted.
func (f *file) pass(r io.Reader, q Query, yield func(Line) bool) bool {
	more := true
	_ = eachLine(r, func(raw []byte) bool { // what cannot be read is not there
		if l := f.line(raw); f.keeps(q, l) {
			more = yield(l)
		}
		return more
	})
	return more
}

// eachLine calls do with each line, without its newline, until that is false.
func eachLine(r io.Reader, do func(raw []byte) bool) error {
	br := bufio.NewReaderSize(r, 64<<10)
	var long []byte
	for {
		piece, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, piece...)
			continue
		}
		raw := piece
		if len(long) > 0 {
			long = append(long, piece...)
			raw = long
		}
		if len(raw) > 0 && !do(bytes.TrimSuffix(raw, []byte{'\n'})) {
			return nil
		}
		long = long[:0]
		if err != nil {
			return err
		}
	}
}

// tail are the last lines that are wanted: it reads backwards as far as need be.
func (f *file) tail(q Query, size int64) []Line {
	lines := f.tailOf(f.f, size, q, q.Last)
	for _, a := range slices.Backward(f.archives) {
		if len(lines) >= q.Last || a.Closed.Before(q.Since) {
			break
		}
		lines = append(f.tailOfArchive(a, q, q.Last-len(lines)), lines...)
	}
	return lines
}

func (f *file) tailOfArchive(a logs.Archive, q Query, n int) []Line {
	r, err := a.Open()
	if err != nil {
		return nil
	}
	defer r.Close()
	if plain, ok := r.(*os.File); ok {
		if info, err := plain.Stat(); err == nil {
			return f.tailOf(plain, info.Size(), q, n)
		}
	}
	return f.lastIn(r, q, n)
}

func (f *file) lastIn(r io.Reader, q Query, n int) []Line {
	last := lastOf{n: n}
	f.at = time.Time{}
	f.pass(r, q, func(l Line) bool {
		last.add(l)
		return true
	})
	return last.all()
}

// firstWindow is how much is read of the end of a file before it is known whether that is enough.
const firstWindow = 256 << 10

func (f *file) tailOf(r *os.File, size int64, q Query, n int) []Line {
	if r == nil {
		return nil
	}
	for window := int64(firstWindow); ; window *= 8 {
		from := max(0, size-window)
		start := from
		if from > 0 {
			start = lineStart(r, from)
		}
		lines := f.lastIn(io.NewSectionReader(r, start, max(0, size-start)), q, n)
		if len(lines) >= n || from == 0 {
			return lines
		}
	}
}

// lineStart is where the first line begins at or behind from.
func lineStart(r io.ReaderAt, from int64) int64 {
	br := bufio.NewReader(io.NewSectionReader(r, from-1, 1<<62))
	skipped := int64(0)
	for {
		piece, err := br.ReadSlice('\n')
		skipped += int64(len(piece))
		if !errors.Is(err, bufio.ErrBufferFull) {
			return from - 1 + skipped
		}
	}
}
