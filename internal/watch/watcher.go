package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// Options say what to watch.
type Options struct {
	Paths  []string // absolute
	Ignore []string // patterns of names and of relative paths, beside Ignored
}

// Watcher watches. Its owner closes it.
type Watcher struct {
	options Options
	ignore  []string
	notify  *fsnotify.Watcher
	changed func(path string)
	failed  func(error)
	roots   []*root
	fresh   map[string]bool // folders that are watched afresh since the last event
	wg      sync.WaitGroup
}

// root is one of the paths, as the file system was when it was looked at last.
type root struct {
	path   string // as given
	target string // without links; empty: it does not exist
	file   bool
	near   map[string]bool // folders of the path and of the links on its way, which are watched for the sake of one name each
}

// New begins to watch. What changes is told by changed, what cannot be watched by failed; both are called on a goroutine of the watcher's, and
// for what fails at once before New returns. An error means that nothing is watched at all.
func New(o Options, changed func(path string), failed func(error)) (*Watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, explain("watch files", err)
	}
	w := &Watcher{options: o, ignore: append(append([]string{}, Ignored...), o.Ignore...), notify: notify, changed: changed, failed: failed, fresh: map[string]bool{}}
	for _, path := range o.Paths {
		r := &root{path: filepath.Clean(path)}
		w.roots = append(w.roots, r)
		w.look(r)
	}
	w.wg.Go(w.loop) // ends when notify is closed
	return w, nil
}

// Close ends the watch, and returns when nothing is told any more.
func (w *Watcher) Close() {
	_ = w.notify.Close()
	w.wg.Wait()
}

func (w *Watcher) loop() {
	for {
		select {
		case event, ok := <-w.notify.Events:
			if !ok {
				return
			}
			w.event(event)
		case err, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			w.lost(err)
		}
	}
}

// lost is told that events were lost: anything may have changed.
func (w *Watcher) lost(err error) {
	if !errors.Is(err, fsnotify.ErrEventOverflow) {
		w.tell("watch files", err)
		return
	}
	clear(w.fresh)
	for _, r := range w.roots {
		w.look(r)
		w.changed(r.path)
	}
}

// look finds out what a path is now, and watches it.
func (w *Watcher) look(r *root) {
	r.target, r.near = "", map[string]bool{}
	path := r.path
	for range maxLinks {
		if !w.lookNear(r, path) {
			return
		}
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = filepath.Clean(to)
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return
	}
	info, err := os.Stat(target)
	if err != nil {
		return
	}
	r.target, r.file = target, !info.IsDir()
	if r.file {
		w.add(filepath.Dir(target))
		return
	}
	w.addTree(r, target)
}

// maxLinks is how long a chain of links may be.
const maxLinks = 20

// lookNear watches the folder of a path, or the nearest that exists: the path may come, go, or be a link that is set to something else. It
// is false when the path does not exist.
func (w *Watcher) lookNear(r *root, path string) bool {
	name := path
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		r.near[name], r.near[dir] = true, true // the folder may go, too
		if !w.add(dir) && dir != filepath.Dir(dir) {
			name = dir
			continue
		}
		_, err := os.Lstat(name) // only now: whatever changes from here on is told
		if err != nil || name == path {
			return err == nil
		}
		name, dir = path, path // what was missing has come meanwhile: once more from there
		clear(w.fresh)
	}
}

// add watches one folder. It is false when there is none.
func (w *Watcher) add(dir string) bool {
	err := w.renew(dir)
	if err == nil {
		return true
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false
	}
	w.tell("watch "+dir, err)
	return true
}

// renew watches a folder afresh. The name may have been another folder's, whose end is still to be told: that must not end this one's watch.
func (w *Watcher) renew(dir string) error {
	if w.fresh[dir] {
		return nil
	}
	_ = w.notify.Remove(dir) // there may be none
	err := w.notify.Add(dir)
	w.fresh[dir] = err == nil
	return err
}

// addTree watches a folder and all below it that counts. It stops where the system's limit is reached, which was told then.
func (w *Watcher) addTree(r *root, dir string) {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil: // gone meanwhile, or not ours to read
			return nil
		case !entry.IsDir():
			return nil
		case path != r.target && w.ignored(r, path):
			return fs.SkipDir
		}
		if err := w.renew(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.tell("watch "+path, err)
			if isLimit(err) {
				return fs.SkipAll
			}
		}
		return nil
	})
}

func (w *Watcher) ignored(r *root, path string) bool {
	relative, err := filepath.Rel(r.target, path)
	return err == nil && relative != "." && ignores(w.ignore, relative)
}

// event finds out whom a change is about.
func (w *Watcher) event(e fsnotify.Event) {
	if e.Op == fsnotify.Chmod {
		return
	}
	clear(w.fresh)
	for _, r := range w.roots {
		if w.concerns(r, e) {
			w.changed(e.Name)
			return
		}
	}
}

func (w *Watcher) concerns(r *root, e fsnotify.Event) bool {
	if r.near[e.Name] && (e.Has(fsnotify.Create) || e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) {
		before := r.target
		for _, other := range w.roots { // what was to be told of a folder that is watched afresh is not told
			w.look(other)
		}
		return before != "" || r.target != ""
	}
	if r.target == "" {
		return false
	}
	if r.file {
		return e.Name == r.target
	}
	if !strings.HasPrefix(e.Name, strings.TrimSuffix(r.target, "/")+"/") || w.ignored(r, e.Name) {
		return false
	}
	if e.Has(fsnotify.Create) {
		return w.created(r, e.Name)
	}
	return true
}

// created watches a folder that is new. An empty one is no change.
func (w *Watcher) created(r *root, path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return true
	}
	w.addTree(r, path)
	holds := false
	_ = filepath.WalkDir(path, func(below string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !w.ignored(r, below) {
			holds = true
			return fs.SkipAll
		}
		return nil
	})
	return holds
}

// tell says what cannot be watched. After Close nothing can.
func (w *Watcher) tell(what string, err error) {
	if !errors.Is(err, fsnotify.ErrClosed) {
		w.failed(explain(what, err))
	}
}

// LimitError says that the system lets this user watch no more.
type LimitError struct {
	What string
	Err  error
}

func (e *LimitError) Error() string { return fmt.Sprintf("%s: %v", e.What, e.Err) }

// Unwrap gives Err.
func (e *LimitError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *LimitError) Hint() string {
	if errors.Is(e.Err, syscall.EMFILE) {
		return "let users have more watchers: sysctl fs.inotify.max_user_instances=1024"
	}
	return "leave large folders out by --watch-ignore, or let users watch more: sysctl fs.inotify.max_user_watches=524288"
}

func isLimit(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) }

func explain(what string, err error) error {
	if isLimit(err) {
		return &LimitError{What: what, Err: err}
	}
	return fmt.Errorf("%s: %w", what, err)
}
