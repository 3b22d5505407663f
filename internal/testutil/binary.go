package testutil

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Muster returns the path of the muster binary: $MUSTER_BIN, else one that is built here, once per test binary, without the race
// detector. The build goes to .cache/test, under a lock that the test binaries of other packages take as well.
func Muster(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("MUSTER_BIN"); path != "" {
		return path
	}
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// MusterWithEffects returns the path of a muster that counts its effects and can be killed after one: see internal/master/effects_on.go.
func MusterWithEffects(t testing.TB) string {
	t.Helper()
	path, err := buildEffectsOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	buildOnce        = sync.OnceValues(func() (string, error) { return build("muster") })
	buildEffectsOnce = sync.OnceValues(func() (string, error) { return build("muster-effects", "-tags", "effects") })
)

// build builds muster with these flags, under a name.
func build(name string, flags ...string) (string, error) {
	dir := filepath.Join(Root(), ".cache", "test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("build muster: %w", err)
	}
	unlock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("build muster: %w", err)
	}
	defer unlock()
	path := filepath.Join(dir, name)
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", path, "./cmd/muster")...)
	cmd.Dir = Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build muster: %w\n%s", err, out)
	}
	return path, nil
}

// lockFile holds an exclusive lock on path until unlock is called or the process ends.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var lockErr error
	err = raw.Control(func(fd uintptr) { lockErr = syscall.Flock(int(fd), syscall.LOCK_EX) })
	if err := errors.Join(err, lockErr); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
