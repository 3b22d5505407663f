package rundir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// homeVariable names the folder of everything that muster keeps, over all other rules.
const homeVariable = "MUSTER_HOME"

// bases are the folders in which masters of this user may be, the best first. MUSTER_HOME alone counts where it is set.
func bases() []string {
	if home := os.Getenv(homeVariable); home != "" {
		if abs, err := filepath.Abs(home); err == nil {
			return []string{filepath.Join(abs, "run")}
		}
	}
	var all []string
	if os.Geteuid() == 0 { // first: a session's folder goes with the session, and a unit of the system has none
		all = append(all, "/run/muster")
	}
	if xdg := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(xdg) && mine(xdg) { // sudo may leave us another user's
		all = append(all, filepath.Join(xdg, "muster"))
	}
	return append(all, filepath.Join(os.TempDir(), "muster-"+strconv.Itoa(os.Geteuid())))
}

func mine(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir() && owner(info) == os.Geteuid()
}

func owner(info os.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// ForeignError says that a folder which has to be ours belongs to somebody else.
type ForeignError struct {
	Path string
	UID  int
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s belongs to user %d, not to user %d", e.Path, e.UID, os.Geteuid())
}

// Hint says what to do.
func (e *ForeignError) Hint() string {
	return "set " + homeVariable + " to a folder of your own"
}

// claim makes a folder that only its owner may enter, and refuses one that is somebody else's. A link is not followed.
func claim(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	case owner(info) != os.Geteuid():
		return &ForeignError{Path: dir, UID: owner(info)}
	case info.Mode().Perm()&0o066 != 0: // others may go through to a shared folder whose name they know
		return os.Chmod(dir, 0o700)
	}
	return nil
}

// openBase makes the first base that can be made.
func openBase() (string, error) {
	var first error
	for _, base := range bases() {
		err := os.MkdirAll(filepath.Dir(base), 0o700)
		if err == nil {
			err = claim(base)
		}
		if err == nil {
			return base, nil
		}
		if first == nil {
			first = err
		}
	}
	return "", &BaseError{Err: first}
}

// BaseError says that there is no place for running masters.
type BaseError struct{ Err error }

func (e *BaseError) Error() string {
	return fmt.Sprintf("make a folder for running masters: %v", e.Err)
}

// Unwrap gives the reason.
func (e *BaseError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *BaseError) Hint() string {
	if errors.Is(e.Err, syscall.EROFS) {
		return "mount a tmpfs, as docker run --tmpfs /run or --tmpfs /tmp does, or set " + homeVariable + " to a folder that you may write to"
	}
	return "set " + homeVariable + " to a folder that you may write to"
}
