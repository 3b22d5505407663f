//go:build effects

package master

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Variables of a build for tests, which has the tag effects.
const (
	// EffectsVariable names the file that gets a line for each effect, when that has been carried out. It goes on after an upgrade.
	EffectsVariable = "MUSTER_EFFECTS"
	// KillVariable is the number of the line after which the master kills itself.
	KillVariable = "MUSTER_KILL_AFTER"
	// PanicVariable is the number of the line after which the master panics.
	PanicVariable = "MUSTER_PANIC_AFTER"
)

// carriedOut writes the effect down, and ends the process without a word if its turn has come.
func carriedOut(effect string) {
	path := os.Getenv(EffectsVariable)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	_, err = f.WriteString(effect + "\n")
	if err := closeOf(f, err); err != nil {
		panic(err)
	}
	lines, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	switch strconv.Itoa(bytes.Count(lines, []byte("\n"))) {
	case os.Getenv(KillVariable):
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	case os.Getenv(PanicVariable):
		panic("as the test wants")
	}
}

func closeOf(f *os.File, err error) error {
	if bad := f.Close(); err == nil {
		return bad
	}
	return err
}
