package master

import (
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/watch"
)

// files is what the master has to do with the files of its app.
type files struct {
	watcher *watch.Watcher // nil: none. Closed by closeWatch
	options watch.Options
}

// watchOptions are what to watch; relative paths count from the folder of the workers.
func (c Config) watchOptions() watch.Options {
	o := watch.Options{Ignore: c.App.WatchIgnore}
	for _, path := range c.App.Watch {
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.Dir, path)
		}
		o.Paths = append(o.Paths, path)
	}
	return o
}

// openWatch watches what the app wants watched. What cannot be is told, and the app serves.
func (m *Master) openWatch() {
	m.openClock()
	o, f := m.cfg.watchOptions(), &m.files
	if f.watcher != nil && slices.Equal(o.Paths, f.options.Paths) && slices.Equal(o.Ignore, f.options.Ignore) {
		return
	}
	if old := f.watcher; old != nil {
		f.watcher = nil
		m.wg.Go(old.Close) // not in the loop, which it may be telling something
	}
	if len(o.Paths) == 0 {
		return
	}
	changed := func(path string) { m.post(func() { m.fileChanged(path) }) }
	watcher, err := watch.New(o, changed, m.notWatched)
	if err != nil {
		m.notWatched(err)
		return
	}
	f.watcher, f.options = watcher, o
	m.log.Info("watching files", keyPaths, o.Paths)
}

// closeWatch is for when the loop has ended, or takes nothing more.
func (m *Master) closeWatch() {
	if m.files.watcher != nil {
		m.files.watcher.Close()
		m.files.watcher = nil
	}
	m.clock.Close()
	m.clock = nil
}

// notWatched may be called from anywhere.
func (m *Master) notWatched(err error) {
	hint := "changes there do not reload the app"
	if limit, ok := errors.AsType[*watch.LimitError](err); ok {
		hint = limit.Hint()
	}
	m.log.Error("files not watched", keyError, err, keyHint, hint)
}

func (m *Master) fileChanged(path string) {
	m.log.Debug("file changed", keyPath, path)
	m.control.memory.Calendar.Files.Add(path, time.Now())
}

// lookAtFiles reloads the app when its files have stopped changing. A reload that is under way already is of the past, and gives way; another
// operation, or a hook, is waited for.
func (m *Master) lookAtFiles() {
	c := &m.control.memory.Calendar
	over, changed := c.Files.Over(m.cfg.App.WatchDelay.Duration())
	if changed && !time.Now().Before(over) {
		m.log.Info("files changed", keyPath, c.Files.Path, keyCount, c.Files.Count)
		c.Files, c.Changed = watch.Burst{}, true
	}
	if c.Changed && !m.mustNotReload() {
		c.Changed = false
		m.reload()
	}
}

func (m *Master) mustNotReload() bool {
	return m.upgrading || m.resolving > 0 || m.hooks.running != nil || m.running(api.OperationScale, api.OperationStop, api.OperationUpgrade, api.OperationRollback) != nil
}
