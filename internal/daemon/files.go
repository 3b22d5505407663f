package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/musterd/muster/api"
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
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) { // some file systems have none for folders
		_ = f.Close()
		return nil
	}
	return f.Close()
}

// readFile reads what writeFile has written.
func readFile(path string, value any, version func() int) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, value); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if v := version(); v != fileVersion {
		return fmt.Errorf("read %s: it has version %d, this muster reads version %d", path, v, fileVersion)
	}
	return nil
}

// records reads the files of all apps. One that cannot be read is put aside, under a name that says so, and told of.
func (d *Daemon) records() []record {
	dir := filepath.Join(d.state, appsFolder)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Error("apps not read", "folder", dir, "error", err)
	}
	var all []record
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
			d.putAside(path, err)
			continue
		}
		all = append(all, r)
	}
	return all
}

// HasApps tells whether a daemon with that state folder would keep any app.
func HasApps(state string) bool {
	files, err := filepath.Glob(filepath.Join(state, appsFolder, "*.json"))
	return err == nil && len(files) > 0
}

func (d *Daemon) putAside(path string, why error) {
	aside := path + ".unreadable"
	if err := os.Rename(path, aside); err != nil {
		why = errors.Join(why, err)
	}
	d.log.Error("an app is forgotten: its file cannot be read", "error", why, "kept", aside)
}

func (d *Daemon) recordPath(name string) string {
	return filepath.Join(d.state, appsFolder, name+".json")
}

// bootID is different after each start of the machine; empty where the system does not tell.
func bootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}
