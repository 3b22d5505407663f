package e2e

import (
	"path/filepath"
	"testing"
)

// TestFilesOfANewerVersion: what a newer muster has written besides what this one knows is of no account to it, in the record of an app, in the
// place of a master and in that of a worker.
func TestFilesOfANewerVersion(t *testing.T) {
	t.Parallel()
	s := keepSite(t, reloaders()[1], 2)
	e := s.entry("site")
	s.killAll(e.PID)
	const more = `{"from_later": {"a": [1, "b"]},`
	rewrite(t, filepath.Join(s.home, "apps", "site.json"), `^\{`, more)
	rewrite(t, filepath.Join(s.home, "run", "site", "master.json"), `^\{`, more)
	records, _ := filepath.Glob(filepath.Join(s.home, "run", ".m*", "w*"))
	if len(records) != 2 {
		t.Fatalf("records of workers: %v", records)
	}
	for _, path := range records {
		rewrite(t, path, `^\{`, more)
	}
	s.require(0, "site", "list", "--quiet")
	if a := s.newMaster(e.PID, 0); workerPIDs(a) != workerPIDs(e.App) {
		t.Errorf("workers %s, were %s", workerPIDs(a), workerPIDs(e.App))
	}
	s.killDaemon()
	rewrite(t, filepath.Join(s.home, "run", ".daemon", "master.json"), `^\{`, more)
	s.require(0, "reloaded site", "reload", "site")
	s.require(0, "stopped site", "stop", "site")
}
