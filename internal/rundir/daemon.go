package rundir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	daemonName = ".daemon"
	startFile  = "starting"
	stateHome  = "XDG_STATE_HOME"
)

// DaemonRunsError says that this user's daemon runs already.
type DaemonRunsError struct{ PID int }

func (e *DaemonRunsError) Error() string {
	return fmt.Sprintf("a daemon runs already, process %d", e.PID)
}

// Hint says what to do.
func (e *DaemonRunsError) Hint() string { return "to end it: muster daemon stop" }

// OpenDaemon makes the place of the daemon and holds it until Close, or until the process ends. A *DaemonRunsError means that there is one.
func OpenDaemon() (*Folder, error) {
	base, err := openBase()
	if err != nil {
		return nil, err
	}
	f := &Folder{path: filepath.Join(base, daemonName)}
	if f.lock, err = hold(f.path); err != nil {
		if !errors.Is(err, errHeld) {
			return nil, fmt.Errorf("hold the place of the daemon: %w", err)
		}
		info, _ := readInfo(f.path)
		return nil, &DaemonRunsError{PID: info.PID}
	}
	if old, err := readInfo(f.path); err == nil && isPrivate(old.Private) {
		_ = os.RemoveAll(old.Private)
	}
	f.clear()
	if f.private, err = makePrivate(base); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// isPrivate tells whether a path is what makePrivate makes.
func isPrivate(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir() && owner(info) == os.Geteuid() && strings.HasPrefix(filepath.Base(path), ".m")
}

// Daemons returns what daemons of this user have left. Whether one lives is told by its socket.
func Daemons() []Info {
	var all []Info
	for _, base := range bases() {
		if !trusted(base) {
			continue
		}
		if info, err := readInfo(filepath.Join(base, daemonName)); err == nil {
			all = append(all, info)
		}
	}
	return all
}

// LockStart waits until nobody else starts a daemon, and keeps others from it until release. It gives up with ctx.
func LockStart(ctx context.Context) (release func(), err error) {
	base, err := openBase()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(base, daemonName)
	if err := claim(dir); err != nil {
		return nil, err
	}
	release, err = await(ctx, filepath.Join(dir, startFile), os.O_CREATE|os.O_RDWR)
	if err != nil {
		return nil, fmt.Errorf("wait for another start of the daemon: %w", err)
	}
	return release, nil
}

// await takes the lock of a file or folder as soon as nobody else has it. It gives up with ctx.
func await(ctx context.Context, path string, flags int) (release func(), err error) {
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	locked := make(chan error, 1)
	go func() { locked <- flockWait(file) }() // ends when the lock is free
	select {
	case err := <-locked:
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		return func() { _ = file.Close() }, nil
	case <-ctx.Done():
		go func() { // ends with the other
			_ = errors.Join(<-locked, file.Close())
		}()
		return nil, ctx.Err()
	}
}

func flockWait(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var locked error
	err = raw.Control(func(fd uintptr) {
		for {
			if locked = unix.Flock(int(fd), unix.LOCK_EX); locked != unix.EINTR {
				return
			}
		}
	})
	return errors.Join(err, locked)
}

// StateDir is the folder of what outlives the machine's run: $MUSTER_HOME, $XDG_STATE_HOME/muster, ~/.local/state/muster, or
// /var/lib/muster for root without a home. It is made, for its owner alone.
func StateDir() (string, error) {
	dir, err := stateDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", &StateError{Err: err}
	}
	if err := claim(dir); err != nil {
		return "", &StateError{Err: err}
	}
	return dir, nil
}

// FindStateDir is StateDir where that exists already.
func FindStateDir() (string, error) {
	dir, err := stateDir()
	if err == nil {
		_, err = os.Stat(dir)
	}
	return dir, err
}

func stateDir() (string, error) {
	if home := os.Getenv(homeVariable); home != "" {
		return filepath.Abs(home)
	}
	if xdg := os.Getenv(stateHome); filepath.IsAbs(xdg) {
		return filepath.Join(xdg, "muster"), nil
	}
	if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) && mine(home) { // sudo may leave us another user's
		return filepath.Join(home, ".local", "state", "muster"), nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/muster", nil
	}
	return "", &StateError{Err: errors.New("there is no home folder of your own")}
}

// StateError says that there is no place for what has to outlive the daemon.
type StateError struct{ Err error }

func (e *StateError) Error() string {
	return fmt.Sprintf("make a folder for the daemon's state: %v", e.Err)
}

// Unwrap gives the reason.
func (e *StateError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *StateError) Hint() string {
	return "set " + homeVariable + " to a folder of your own that you may write to"
}
