package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
)

// maxPath is the longest path of a unix socket in bytes: the field of the address, less a NUL.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// fileID tells whether a path still leads to the same file.
type fileID struct{ dev, ino uint64 }

// openUnix makes the socket at its path. What a dead process left there is removed; what a living one serves is *InUseError.
func openUnix(l app.Listener, o Options) (*Socket, error) {
	if err := checkPath(l); err != nil {
		return nil, err
	}
	fd, err := newFD(unix.AF_UNIX, unix.SOCK_STREAM, o.Nonblock)
	if err != nil {
		return nil, failure(l, err)
	}
	l.Port = 0
	s := &Socket{fd: fd, listener: l}
	return s.orClose(s.openPath(o))
}

func checkPath(l app.Listener) error {
	switch {
	case !filepath.IsAbs(l.Path):
		return invalid(l, "the path is not absolute")
	case len(l.Path) > maxPath:
		e := invalid(l, fmt.Sprintf("the path has %d bytes, a unix socket's may have %d", len(l.Path), maxPath))
		e.Err = unix.ENAMETOOLONG
		return e
	}
	return nil
}

func (s *Socket) openPath(o Options) error {
	if err := bindPath(s.fd, s.listener); err != nil {
		return err
	}
	id, err := identify(s.listener.Path)
	if err != nil {
		return failure(s.listener, err)
	}
	s.file = &id
	if o.UID > 0 || o.GID > 0 {
		if err := os.Lchown(s.listener.Path, o.owner(o.UID), o.owner(o.GID)); err != nil {
			return failure(s.listener, err)
		}
	}
	if o.Mode != 0 { // before listen: until then nobody can connect
		if err := os.Chmod(s.listener.Path, o.Mode.Perm()); err != nil {
			return failure(s.listener, err)
		}
	}
	return s.listen(o)
}

// owner is a number for chown: root owns what it makes anyway.
func (o Options) owner(id int) int {
	if id > 0 {
		return id
	}
	return -1
}

func bindPath(fd int, l app.Listener) error {
	sa := &unix.SockaddrUnix{Name: l.Path}
	err := unix.Bind(fd, sa)
	if errors.Is(err, unix.EADDRINUSE) {
		if err := removeStale(l); err != nil {
			return err
		}
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		return failure(l, err)
	}
	return nil
}

// removeStale unlinks the path when it is a socket that refuses connections, as the kernel does where no process holds it.
func removeStale(l app.Listener) error {
	info, err := os.Lstat(l.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return failure(l, err)
	case info.Mode().Type() != fs.ModeSocket:
		e := invalid(l, "a file that is not a socket is there")
		e.Err, e.hint = unix.ENOTSOCK, "remove it or name another path; muster does not delete what it did not make"
		return e
	}
	if !refuses(l.Path) {
		return failure(l, unix.EADDRINUSE)
	}
	if err := unlinkIf(l.Path, idOf(info)); err != nil {
		return failure(l, err)
	}
	return nil
}

// refuses tells whether nobody listens at the path. A full queue, another kind of socket or a missing permission
// all mean that somebody may.
func refuses(path string) bool {
	fd, err := newFD(unix.AF_UNIX, unix.SOCK_STREAM, true)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return errors.Is(unix.Connect(fd, &unix.SockaddrUnix{Name: path}), unix.ECONNREFUSED)
}

// OwnsPath tells whether Close unlinks the path of this unix socket. It must be kept across a hand-over; see ClaimPath.
func (s *Socket) OwnsPath() bool { return s.file != nil }

// ClaimPath makes an adopted unix socket responsible for its path, as the Socket was that opened it. Only for a socket that was
// made by this master before a hand-over: the path of a manager above is not ours to unlink.
func (s *Socket) ClaimPath() error {
	if s.listener.Network != "unix" || s.fd < 0 {
		return s.fail("claim the path of", errors.ErrUnsupported)
	}
	id, err := identify(s.listener.Path)
	if err != nil {
		return s.fail("claim the path of", err)
	}
	s.file = &id
	return nil
}

func (s *Socket) unlinkPath() error {
	if s.file == nil {
		return nil
	}
	id := *s.file
	s.file = nil
	if err := unlinkIf(s.listener.Path, id); err != nil {
		return s.fail("unlink", err)
	}
	return nil
}

// unlinkIf removes the path if it still leads to the file id; otherwise, and when it is gone, it does nothing.
func unlinkIf(path string, id fileID) error {
	now, err := identify(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && now != id {
		return nil
	}
	if err != nil {
		return err
	}
	if err := unix.Unlink(path); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

func identify(path string) (fileID, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return fileID{}, err
	}
	return idOf(info), nil
}

func idOf(info fs.FileInfo) fileID {
	st := info.Sys().(*syscall.Stat_t)
	return fileID{dev: uint64(st.Dev), ino: st.Ino}
}
