package logs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Layout says how lines spread over the files of a folder.
type Layout string

// The layouts.
const (
	LayoutApp    Layout = "app"    // all in one
	LayoutStream Layout = "stream" // one for stdout, one for stderr
	LayoutWorker Layout = "worker" // one for each slot
)

// Names of files in a folder of logs.
const (
	outFile    = "out.log"    // of stdout, or of all
	errFile    = "err.log"    // of stderr
	spareFile  = "spares.log" // of workers without a slot
	masterFile = "master.log" // of the master's own records, where there is no file of all
)

// Place says where the lines of an app go. Where it names no file for a stream, they go to the standard stream.
type Place struct {
	Dir      string // absolute; empty: none
	Layout   Layout // in Dir
	Out, Err string // files of stdout and stderr, over those of Dir
	Rotation Rotation
	Lines    Options // of the lines in files
}

// Output takes the lines of an app to where they belong. It may be used by many goroutines at once.
type Output struct {
	place    Place
	standard *book // of what has no file
	events   atomic.Pointer[Events]

	mu    sync.Mutex
	books map[string]*book // by path
}

// book is where lines are written, with what stands before it.
type book struct {
	file  *File // nil: the standard stream
	spool *Spool
	sink  *Sink
}

// Events are what an Output tells of where it writes; path is empty for the standard stream. They are called from goroutines of its own.
type Events struct {
	OnError func(path string, err error) // called when writing begins to fail, and again only after it went well in between
	OnGap   func(path string, l Loss)    // called when a line was written that tells of a loss
}

// NewOutput returns an output that writes lines without a file to standard, in the form of o; standard stays open. Files are opened as they are
// needed; see Open.
func NewOutput(p Place, standard io.Writer, o Options, e Events) *Output {
	out := &Output{place: p, books: map[string]*book{}}
	out.Tell(e)
	out.standard = out.newBook("", standard, o)
	out.standard.sink.history = NewHistory()
	return out
}

func (o *Output) newBook(path string, w io.Writer, lines Options) *book {
	b := &book{spool: NewSpool(w, SpoolOptions{
		Gap: lines.GapLine,
		OnError: func(err error) {
			if tell := o.events.Load().OnError; tell != nil {
				tell(path, err)
			}
		},
		OnGap: func(l Loss) {
			if tell := o.events.Load().OnGap; tell != nil {
				tell(path, l)
			}
		},
	})}
	b.file, _ = w.(*File)
	b.sink = NewSink(b.spool, lines)
	return b
}

// Tell changes who is told.
func (o *Output) Tell(e Events) { o.events.Store(&e) }

// Open opens all files that are known before there is a worker, so that what is wrong with them is told at once.
func (o *Output) Open() error {
	paths := []string{o.path(Source{Slot: 0, Stream: Stdout}), o.path(Source{Slot: 0, Stream: Stderr}), o.masterPath()}
	for _, path := range paths {
		if _, err := o.open(path); err != nil {
			return err
		}
	}
	return nil
}

// path is the file of a worker's stream; empty: the standard stream.
func (o *Output) path(src Source) string {
	own := o.place.Out
	if src.Stream == Stderr {
		own = o.place.Err
	}
	switch {
	case own != "":
		return own
	case o.place.Dir == "":
		return ""
	}
	return filepath.Join(o.place.Dir, o.name(src))
}

func (o *Output) name(src Source) string {
	switch {
	case o.place.Layout == LayoutStream && src.Stream == Stderr:
		return errFile
	case o.place.Layout != LayoutWorker:
		return outFile
	case src.Slot < 0:
		return spareFile
	}
	return strconv.Itoa(src.Slot) + ".log"
}

// masterPath is the file of the master's own records; empty: none.
func (o *Output) masterPath() string {
	switch {
	case o.place.Dir == "":
		return ""
	case o.place.Layout == LayoutApp || o.place.Layout == "":
		return filepath.Join(o.place.Dir, outFile)
	}
	return filepath.Join(o.place.Dir, masterFile)
}

// Sink is where a worker's stream goes. If its file cannot be opened, that is the standard stream, and the error tells why.
func (o *Output) Sink(src Source) (*Sink, error) { return o.open(o.path(src)) }

// Records is where the master's own records go beside the standard stream; nil: nowhere.
func (o *Output) Records() *Sink {
	path := o.masterPath()
	if path == "" {
		return nil
	}
	sink, err := o.open(path)
	if err != nil {
		return nil
	}
	return sink
}

func (o *Output) open(path string) (*Sink, error) {
	if path == "" {
		return o.standard.sink, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if b := o.books[path]; b != nil {
		return b.sink, nil
	}
	file, err := OpenFile(path, o.place.Rotation)
	if err != nil {
		return o.standard.sink, err
	}
	b := o.newBook(path, file, o.place.Lines)
	o.books[path] = b
	return b.sink, nil
}

// History is the past of what goes to the standard stream.
func (o *Output) History() *History { return o.standard.sink.history }

// Files are the paths of the files that are open, in order.
func (o *Output) Files() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	paths := make([]string, 0, len(o.books))
	for path := range o.books {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// Reopen lets go of files that were moved away, and goes on with new ones.
func (o *Output) Reopen() error {
	var errs []error
	for _, b := range o.all() {
		if b.file != nil {
			errs = append(errs, b.file.Reopen())
		}
	}
	return errors.Join(errs...)
}

func (o *Output) all() []*book {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := []*book{o.standard}
	for _, b := range o.books {
		all = append(all, b)
	}
	return all
}

// Flush waits until all that was written so far is in its files, or for ctx.
func (o *Output) Flush(ctx context.Context) error {
	for _, b := range o.all() {
		if err := b.spool.Flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close writes out what is left, for as long as ctx allows, and closes the files. Nobody may write any more.
func (o *Output) Close(ctx context.Context) error {
	var errs []error
	for _, b := range o.all() {
		if err := b.spool.Close(ctx); err != nil {
			errs = append(errs, err) // its goroutine is stuck in a write
		} else if b.file != nil {
			errs = append(errs, b.file.Close())
		}
	}
	return errors.Join(errs...)
}

// GapLine is the line of the master that tells of a loss.
func (o Options) GapLine(l Loss) []byte {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines lost", 0)
	r.Add("lines", l.Lines, "bytes", l.Bytes)
	return []byte(o.Record(r))
}

// Record is the line of a record of the master.
func (o Options) Record(r slog.Record) string {
	var b lineBuffer
	_ = NewHandler(&b, o).Handle(context.Background(), r) // into memory
	return string(b)
}

type lineBuffer []byte

func (b *lineBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}
