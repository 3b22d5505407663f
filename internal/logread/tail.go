package logread

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Source says where the lines of an app are.
type Source struct {
	App   string
	Any   bool     // lines of other apps as well, in files that they share
	Dir   string   // every *.log in there; empty: none
	Files []string // and these
	Live  Live     // instead of files; nil: none
}

// paths are the files of the source that are there, or should be.
func (s *Source) paths() []string {
	paths := slices.Clone(s.Files)
	if s.Dir != "" {
		entries, _ := os.ReadDir(s.Dir) // one that is not there yet is empty
		for _, entry := range entries {
			if strings.HasSuffix(entry.Name(), ".log") && !entry.IsDir() {
				paths = append(paths, filepath.Join(s.Dir, entry.Name()))
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Exists tells whether anything was ever written there.
func (s *Source) Exists() bool {
	return slices.ContainsFunc(s.paths(), func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	})
}

// Tail reads the files of several apps. Close it.
type Tail struct {
	sources []Source
	files   [][]*file // of each source
	streams []*stream // of the sources without files
}

// Open opens what is there now. With follow, the lines that Past returns are whole, and Follow goes on behind them.
func Open(sources []Source, follow bool) (*Tail, error) {
	t := &Tail{sources: sources, files: make([][]*file, len(sources))}
	for i, s := range sources {
		if s.Live != nil {
			t.streams = append(t.streams, &stream{source: s})
		}
		if err := t.scan(i, func(f *file) { f.offset = f.size(!follow) }); err != nil {
			t.Close()
			return nil, err
		}
	}
	return t, nil
}

// scan opens the files of a source that are not open yet.
func (t *Tail) scan(i int, opened func(*file)) error {
	for _, path := range t.sources[i].paths() {
		if slices.ContainsFunc(t.files[i], func(f *file) bool { return f.path == path }) {
			continue
		}
		f, err := openFile(path, t.sources[i])
		if err != nil {
			return err
		}
		opened(f)
		t.files[i] = append(t.files[i], f)
	}
	return nil
}

// Close closes the files.
func (t *Tail) Close() {
	for _, files := range t.files {
		for _, f := range files {
			closeFile(f.f)
		}
	}
}

// Past returns what was written, in the order of time.
func (t *Tail) Past(ctx context.Context, q Query) (iter.Seq[Line], error) {
	all := make([]iter.Seq[Line], len(t.files))
	for i, files := range t.files {
		all[i] = past(files, q)
	}
	for _, s := range t.streams {
		lines, err := s.past(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, lines)
	}
	return merge(all), nil
}

// past are the lines of one source.
func past(files []*file, q Query) iter.Seq[Line] {
	parts := make([]iter.Seq[Line], len(files))
	for i, f := range files {
		if q.Last < 0 {
			parts[i] = f.all(q, f.offset)
		} else {
			parts[i] = slices.Values(f.tail(q, f.offset))
		}
	}
	merged := merge(parts)
	if q.Last < 0 || len(files) == 1 {
		return merged
	}
	last := lastOf{n: q.Last}
	for l := range merged {
		last.add(l)
	}
	return slices.Values(last.all())
}

// Follow calls emit with the lines that are written from now on, some at a time, until ctx ends or emit fails, whose error it returns. What is written to several
// files at about the same moment comes in the order of time.
func (t *Tail) Follow(ctx context.Context, q Query, emit func([]Line) error) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer func() { _ = watcher.Close() }()
	t.watch(watcher)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	ctx, cancel := context.WithCancel(ctx)
	live, ended := t.followStreams(ctx, q)
	defer func() {
		cancel()
		<-ended
	}()
	over := ended
	if len(t.streams) < len(t.sources) { // files have no end
		over = nil
	}
	for {
		if err := t.advance(q, emit); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-over:
			if rest := gatherAll(live); len(rest) > 0 {
				return emit(rest)
			}
			return nil
		case l := <-live:
			if err := emit(gather(l, live)); err != nil {
				return err
			}
		case err := <-watcher.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) { // all files are looked at anyway
				return fmt.Errorf("watch log files: %w", err)
			}
		case <-watcher.Events:
			drain(watcher)
		case <-tick.C:
			t.watch(watcher)
		}
	}
}

// followStreams reads the sources without files, each on a goroutine that ends with ctx or its app; ended is closed when all have.
func (t *Tail) followStreams(ctx context.Context, q Query) (lines <-chan Line, ended <-chan struct{}) {
	live, done := make(chan Line, 100), make(chan struct{})
	var wg sync.WaitGroup
	for _, s := range t.streams {
		wg.Go(func() { s.follow(ctx, q, live) })
	}
	go func() { // ends with them
		wg.Wait()
		close(done)
	}()
	return live, done
}

// gather adds what is there already.
func gather(first Line, more <-chan Line) []Line {
	lines := []Line{first}
	for len(lines) < cap(more) {
		select {
		case l := <-more:
			lines = append(lines, l)
		default:
			return lines
		}
	}
	return lines
}

func gatherAll(lines <-chan Line) []Line {
	select {
	case l := <-lines:
		return gather(l, lines)
	default:
		return nil
	}
}

// drain drops the events that are there already: all files are looked at anyway.
func drain(w *fsnotify.Watcher) {
	for {
		select {
		case <-w.Events:
		default:
			return
		}
	}
}

// watch watches the folders of all files. Those that are not there yet are tried again.
func (t *Tail) watch(w *fsnotify.Watcher) {
	watched := w.WatchList()
	for i, s := range t.sources {
		folders := []string{s.Dir}
		for _, f := range t.files[i] {
			folders = append(folders, filepath.Dir(f.path))
		}
		for _, path := range s.Files {
			folders = append(folders, filepath.Dir(path))
		}
		for _, folder := range folders {
			if folder != "" && !slices.Contains(watched, folder) && w.Add(folder) == nil {
				watched = append(watched, folder)
			}
		}
	}
}

// advance passes on what is new in all files.
func (t *Tail) advance(q Query, emit func([]Line) error) error {
	var lines []Line
	var failed error
	pass := func() {
		slices.SortStableFunc(lines, func(a, b Line) int { return a.Time.Compare(b.Time) })
		if len(lines) > 0 && failed == nil {
			failed = emit(lines)
		}
		lines = lines[:0]
	}
	for i := range t.sources {
		_ = t.scan(i, func(f *file) { // all that is in a file which is new is new
			closeFile(f.f)
			f.f, f.last = nil, time.Time{}
		})
		for _, f := range t.files[i] {
			f.advance(func(l Line) {
				if f.keeps(q, l) {
					lines = append(lines, l)
				}
				if len(lines) >= atOnce {
					pass()
				}
			})
		}
	}
	pass()
	return failed
}

// atOnce is how many new lines are put in order at a time.
const atOnce = 10_000
