package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/app"
)

// fileVersion is the version of the daemon's files. Fields may be added to it.
const fileVersion = 1

// Names in the state folder.
const (
	appsFolder = "apps"
	logsFolder = "logs"
	crashFile  = "master.err" // among the logs of an app
	dumpFile   = "dump.json"
)

// record is what is remembered of an app.
type record struct {
	Version   int        `json:"version"`
	ID        int        `json:"id"`
	Launch    api.Launch `json:"launch"`
	Scaled    string     `json:"scaled,omitempty"`    // number of workers, if it is not that of the spec
	Wanted    bool       `json:"wanted"`              // it shall run
	Boot      string     `json:"boot,omitempty"`      // of the machine, when it was last wanted or not
	Completed bool       `json:"completed,omitempty"` // a job that runs once, and did so last with success
	Failed    bool       `json:"failed,omitempty"`    // it does not run for it could not, or gave up
	Why       string     `json:"why,omitempty"`       // it does not run
	Hint      string     `json:"hint,omitempty"`
	Masters   int        `json:"masters_lost,omitempty"`
}

// dump is what `muster save` writes.
type dump struct {
	Version int      `json:"version"`
	Apps    []record `json:"apps"`
}

// writeFile replaces a file as a whole, or leaves it as it is: it is there after a crash of the machine, too.
func writeFile(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(path, append(text, '\n'))
}

func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a rename last.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) { // some file systems have none for folders
		err = nil
	}
	return errors.Join(err, f.Close())
}

// readFile reads what writeFile has written.
func readFile(path string, value any, version func() int) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, value); err != nil {
		return fmt.Errorf("read %s:%d: %w", path, lineOf(text, err), err)
	}
	if v := version(); v != fileVersion {
		return fmt.Errorf("read %s: it has version %d, this muster reads version %d", path, v, fileVersion)
	}
	return nil
}

// lineOf is the line, from 1, that the error of a decoder is about.
func lineOf(text []byte, err error) int {
	at := int64(len(bytes.TrimRight(text, "\n")))
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = min(at, e.Offset)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		at = min(at, e.Offset)
	}
	return 1 + bytes.Count(text[:at], []byte("\n"))
}

// aside is the name under which a file that cannot be read is kept.
func aside(path string) string { return path + ".unreadable" }

// records reads the files of all apps. One that cannot be read is put aside, under a name that says so: if its master runs, that tells what is
// in the file, else the app is there, and has failed for that.
func (d *Daemon) records() []record {
	dir := filepath.Join(d.state, appsFolder)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Error("apps not read", "folder", dir, "error", err)
	}
	var all, damaged []record
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") { // left by a crash in the middle of a write
			_ = os.Remove(path)
			continue
		}
		if filepath.Ext(path) != ".json" {
			continue
		}
		var r record
		err := readFile(path, &r, func() int { return r.Version })
		if err == nil && r.Launch.Spec.Name+".json" != entry.Name() {
			err = fmt.Errorf("read %s: it is about an app named %q", path, r.Launch.Spec.Name)
		}
		if err != nil {
			name := strings.TrimSuffix(entry.Name(), ".json")
			if d.putAside(path, err) == nil && isName(name) {
				damaged = append(damaged, d.recovered(name, path, err))
			}
			continue
		}
		all = append(all, r)
	}
	return append(all, numbered(all, damaged)...)
}

// isName tells whether an app can have that name.
func isName(name string) bool {
	_, err := app.New(app.Spec{Name: name, Command: []string{name}})
	return err == nil
}

// recovered is the record of an app whose file cannot be read.
func (d *Daemon) recovered(name, path string, why error) record {
	if m := findMaster(name); m != nil {
		launch, err := launchOf(d.ctx, m.socket)
		_ = m.process.Close()
		if err == nil && launch.Spec.Name == name {
			d.log.Warn("an app is known by its master alone", "app", name)
			r := record{Version: fileVersion, Launch: launch, Wanted: true, Boot: d.boot}
			if err := writeFile(path, r); err != nil {
				d.log.Error("app not written down: another daemon would not know it", "app", name, "error", err)
			}
			return r
		}
	}
	return record{
		Launch: api.Launch{Spec: specNamed(name)}, Failed: true, Why: why.Error(),
		Hint: "start it as it was started first, by its command or app file; the file is kept as " + aside(path),
	}
}

// launchOf asks a master what it was started from.
func launchOf(ctx context.Context, socket string) (api.Launch, error) {
	c := client.New(socket)
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return c.Revealing().Launch(ctx)
}

// numbered gives IDs to records that have lost theirs.
func numbered(all, damaged []record) []record {
	last := 0
	for _, r := range all {
		last = max(last, r.ID)
	}
	for i := range damaged {
		last++
		damaged[i].ID = last
	}
	return damaged
}

// sweep removes what a crash in the middle of a write has left of the other files.
func (d *Daemon) sweep() {
	left, _ := filepath.Glob(filepath.Join(d.state, "."+dumpFile+".*")) // the pattern is a good one
	for _, path := range left {
		_ = os.Remove(path)
	}
}

// HasApps tells whether a daemon with that state folder would keep any app.
func HasApps(state string) bool {
	files, err := filepath.Glob(filepath.Join(state, appsFolder, "*.json"))
	return err == nil && len(files) > 0
}

// LeftApps tells whether a daemon with that state folder was killed while apps ran, which may run on.
func LeftApps(state string) bool {
	files, _ := filepath.Glob(filepath.Join(state, appsFolder, "*.json"))
	boot := bootID()
	return slices.ContainsFunc(files, func(file string) bool {
		var r record
		return readFile(file, &r, func() int { return r.Version }) == nil && r.Wanted && r.Boot == boot
	})
}

// AppNames are the names of the apps that a daemon with that state folder keeps or would keep.
func AppNames(state string) []string {
	files, _ := filepath.Glob(filepath.Join(state, appsFolder, "*.json"))
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(filepath.Base(file), ".json")
	}
	return names
}

func (d *Daemon) putAside(path string, why error) error {
	err := os.Rename(path, aside(path))
	d.log.Error("the file of an app cannot be read", "error", errors.Join(why, err), "kept", aside(path))
	return err
}

func (d *Daemon) recordPath(name string) string {
	return filepath.Join(d.state, appsFolder, name+".json")
}

// bootID is different after each start of the machine; empty where the system does not tell.
func bootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}
