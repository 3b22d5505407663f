package sock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/testutil"
)

func TestUnixSocketComesAndGoes(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	s, err := OpenShared(unixAt(path), Options{Mode: 0o600})
	check(t, err)
	info, err := os.Lstat(path)
	check(t, err)
	if info.Mode() != fs.ModeSocket|0o600 || s.Addr() != path || s.Port() != 0 || !s.OwnsPath() {
		t.Errorf("%v at %s, port %d", info.Mode(), s.Addr(), s.Port())
	}
	check(t, s.Close())
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the path is still there: %v", err)
	}
}

// Not parallel: a process that another test forks would hold the abandoned socket until its exec.
func TestStaleUnixSocketIsReplaced(t *testing.T) {
	path := socketPath(t)
	abandon(t, path)
	s := openShared(t, unixAt(path), Options{})
	dial(t, s)
}

// abandon leaves what a killed process leaves.
func abandon(t *testing.T, path string) {
	t.Helper()
	s, err := OpenShared(unixAt(path), Options{})
	check(t, err)
	closeFD(t, s.Release())
}

func TestLivingUnixSocketIsInUse(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	s := openShared(t, unixAt(path), Options{Backlog: 1})
	for _, full := range []bool{false, true} {
		var inUse *InUseError
		if _, err := OpenShared(unixAt(path), Options{}); !errors.As(err, &inUse) || inUse.Owner.PID != os.Getpid() {
			t.Errorf("full queue %v: error %v, want in use by this process", full, err)
		}
		if !full {
			fill(t, s)
		}
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

// fill connects until the queue takes no more.
func fill(t *testing.T, s *Socket) {
	t.Helper()
	for {
		fd, err := newFD(unix.AF_UNIX, unix.SOCK_STREAM, true)
		check(t, err)
		t.Cleanup(func() { closeFD(t, fd) })
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: s.Addr()}); errors.Is(err, unix.EAGAIN) {
			return
		}
	}
}

func TestForeignFileIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := testutil.TempDir(t)
	file, link := filepath.Join(dir, "f"), filepath.Join(dir, "l")
	check(t, os.WriteFile(file, []byte("precious"), 0o600))
	check(t, os.Symlink("nowhere", link))
	for _, path := range []string{file, link, dir} {
		var addr *AddressError
		_, err := OpenShared(unixAt(path), Options{})
		if !errors.As(err, &addr) || !errors.Is(err, unix.ENOTSOCK) || addr.Hint() == "" {
			t.Errorf("%s: error %v, want one that says what is there", path, err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestLongPath(t *testing.T) {
	t.Parallel()
	dir := testutil.TempDir(t)
	longest := filepath.Join(dir, strings.Repeat("x", maxPath-len(dir)-1))
	openShared(t, unixAt(longest), Options{})
	_, err := OpenShared(unixAt(longest+"x"), Options{})
	if !errors.Is(err, unix.ENAMETOOLONG) || !strings.Contains(err.Error(), "108 bytes, a unix socket's may have 107") {
		t.Errorf("error %v, want the limit", err)
	}
	if _, err := OpenShared(unixAt("relative"), Options{}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("relative path: %v", err)
	}
}

func TestMissingDirectory(t *testing.T) {
	t.Parallel()
	_, err := OpenShared(unixAt(filepath.Join(testutil.TempDir(t), "none", "s")), Options{})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want ENOENT", err)
	}
}

// A path that another process has taken over meanwhile is not ours to unlink.
func TestCloseLeavesASuccessorsPath(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	s, err := OpenShared(unixAt(path), Options{})
	check(t, err)
	check(t, os.Remove(path))
	successor := openShared(t, unixAt(path), Options{})
	check(t, s.Close())
	dial(t, successor)
}

func TestAdoptedPath(t *testing.T) {
	t.Parallel()
	for _, claim := range []bool{false, true} {
		path := socketPath(t)
		s, err := OpenShared(unixAt(path), Options{})
		check(t, err)
		adopted, err := Adopt(s.Release(), unixAt(path))
		check(t, err)
		if claim {
			check(t, adopted.ClaimPath())
		}
		check(t, adopted.Close())
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) != claim {
			t.Errorf("claimed %v: %v", claim, err)
		}
	}
	if err := openShared(t, local(), Options{}).ClaimPath(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("claim of a TCP socket: %v", err)
	}
}
