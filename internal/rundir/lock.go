package rundir

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

var errHeld = errors.New("another process holds it")

// hold makes the folder and takes its lock. The lock file that was opened may be one that its last holder has just removed: then there is
// another try, with the next.
func hold(dir string) (*os.File, error) {
	for {
		if err := claim(dir); err != nil {
			return nil, err
		}
		lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
		if errors.Is(err, os.ErrNotExist) { // the folder went between the two
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := flock(lock); err != nil {
			return nil, errors.Join(err, lock.Close())
		}
		if isAt(lock, lock.Name()) {
			return lock, nil
		}
		_ = lock.Close()
	}
}

func flock(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var locked error
	err = raw.Control(func(fd uintptr) { locked = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(locked, unix.EWOULDBLOCK) {
		return errHeld
	}
	return errors.Join(err, locked)
}

func isAt(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, there)
}
