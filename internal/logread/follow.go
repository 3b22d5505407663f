package logread

import (
	"bytes"
	"io"
	"os"
	"time"

	"github.com/musterd/muster/internal/logs"
)

// maxPart bounds what is kept of a line that has no end yet. Those that muster writes are shorter.
const maxPart = 1 << 20

// advance passes on what is new since the last time: the rest of a file that was put aside, what was put aside whole, and the file that is
// written now.
func (f *file) advance(emit func(Line)) {
	for f.step(emit) {
	}
}

// step reads one file to its present end. It is true if another one has taken its place.
func (f *file) step(emit func(Line)) bool {
	if f.f == nil {
		return f.begin(emit)
	}
	f.restart()
	f.read(emit)
	if isAt(f.f, f.path) {
		return false
	}
	next, archives, err := openBoth(f.path)
	if err != nil || next == nil { // it is about to come back, or never
		return false
	}
	between, mine := f.since(archives)
	if !mine && isEmpty(next) { // who has moved it away may be still to tell the master, which goes on writing to this one
		_ = next.Close()
		return false
	}
	f.read(emit) // what came before it was put aside
	f.end(emit)
	f.use(next, archives, between, emit)
	return true
}

// begin reads a file that was not there before.
func (f *file) begin(emit func(Line)) bool {
	next, archives, err := openBoth(f.path)
	if err != nil || next == nil {
		return false
	}
	between, mine := f.since(archives)
	if mine {
		between = archives[len(archives)-len(between)-1:] // it has come and gone
	}
	f.use(next, archives, between, emit)
	return true
}

// since are the archives that were put aside after the last known one, without the one that this file has become, which mine tells of.
func (f *file) since(archives []logs.Archive) (between []logs.Archive, mine bool) {
	first := len(archives)
	for first > 0 && archives[first-1].Closed.After(f.last) {
		first--
	}
	between = archives[first:]
	if len(between) > 0 && (f.f == nil || f.became(between[0])) {
		return between[1:], true
	}
	return between, false
}

// became tells whether the archive is what this file has become. It may be compressed at any moment, and is another file then: one that begins
// with the same bytes.
func (f *file) became(a logs.Archive) bool {
	r, err := a.Open()
	if err != nil {
		return true // it was removed meanwhile, whatever it was
	}
	defer r.Close()
	if plain, ok := r.(*os.File); ok {
		there, err := plain.Stat()
		here, bad := f.f.Stat()
		return err == nil && bad == nil && os.SameFile(here, there)
	}
	var blocks [2][4 << 10]byte
	n, _ := io.ReadFull(r, blocks[0][:]) // what cannot be read is not the same
	m, _ := f.f.ReadAt(blocks[1][:], 0)
	return n == m && bytes.Equal(blocks[0][:n], blocks[1][:m])
}

// use goes on with another file, after the archives between.
func (f *file) use(next *os.File, archives, between []logs.Archive, emit func(Line)) {
	for _, a := range between {
		if r, err := a.Open(); err == nil {
			f.pass(r, Query{}, func(l Line) bool {
				emit(l)
				return true
			})
			_ = r.Close()
		}
	}
	closeFile(f.f)
	f.f, f.offset, f.part = next, 0, nil
	if n := len(archives); n > 0 {
		f.last = archives[n-1].Closed
	}
}

// restart goes back to the beginning of a file that somebody has emptied.
func (f *file) restart() {
	if info, err := f.f.Stat(); err == nil && info.Size() < f.offset {
		f.offset, f.part = 0, nil
	}
}

// read passes on the whole lines behind the offset.
func (f *file) read(emit func(Line)) {
	block := make([]byte, 64<<10)
	for {
		n, err := f.f.ReadAt(block, f.offset)
		f.offset += int64(n)
		f.take(block[:n], emit)
		if err != nil || n == 0 {
			return
		}
	}
}

func (f *file) take(block []byte, emit func(Line)) {
	for {
		end := bytes.IndexByte(block, '\n')
		if end < 0 {
			break
		}
		raw := block[:end]
		if len(f.part) > 0 {
			f.part = append(f.part, raw...)
			raw = f.part
		}
		emit(f.line(raw))
		f.part = f.part[:0]
		block = block[end+1:]
	}
	if len(f.part) < maxPart {
		f.part = append(f.part, block...)
	}
}

// end passes on an unfinished line, which nobody will finish.
func (f *file) end(emit func(Line)) {
	if len(f.part) > 0 {
		emit(f.line(f.part))
		f.part = nil
	}
}

func isEmpty(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Size() == 0
}

// lookEvery is how often files are looked at without an event: not every file system tells.
const lookEvery = time.Second
