package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// save writes a file as editors do: another one, renamed over it.
func (s *site) save(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path+"~", []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		s.t.Fatal(err)
	}
}

func TestWatchReloads(t *testing.T) {
	t.Parallel()
	s := startSite(t, "--watch", "--watch-ignore", "*.log", "--watch-delay", "50ms")
	s.run.WaitLine("watching files")
	s.requireRelease("one")
	s.underLoad(func() {
		s.save("env", "RELEASE=two\n")
		s.run.WaitLine("files changed path=.*/env")
		s.run.WaitLine("reloaded op=1")
		s.require(0, "", "wait", "1") // then no old worker accepts any more
	})
	s.requireRelease("two")

	// A save that is broken keeps the workers; the next one is as any other.
	s.save("env", "RELEASE=bad\n")
	s.run.WaitLine("reload failed: the last good generation stays .*op=2")
	s.requireRelease("two")
	s.save("x.log", "a line")
	s.save("env", "RELEASE=three\n")
	s.run.WaitLine("reloaded op=3")
	s.require(0, "", "wait", "3")
	s.requireRelease("three")

	// An upgrade watches on.
	s.require(0, "upgraded", "upgrade")
	mark := s.run.Mark()
	s.save("env", "RELEASE=four\n")
	s.run.WaitLines(mark, 1, "reloaded op=5")
	s.require(0, "", "wait", "5")
	s.requireRelease("four")
	s.run.Stop()
}
