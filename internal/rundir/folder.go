package rundir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Names in a master's folder.
const (
	lockFile = "lock"
	infoFile = "master.json"
)

// SocketName is what the control socket of a master is called, in whichever folder.
const SocketName = "control.sock"

// maxPath is the longest path of a unix socket, without the NUL.
const maxPath = 107

// longestSocket is the room that a socket in the private folder may need.
const longestSocket = len("/n18446744073709551615")

// Info is what a master leaves for those who look for it. A file with it proves nothing: see Find.
type Info struct {
	Name    string    `json:"name"`
	PID     int       `json:"pid"`
	Cwd     string    `json:"cwd"`
	Started time.Time `json:"started"`
	Version string    `json:"version,omitempty"`
	Socket  string    `json:"socket"`
	Private string    `json:"private,omitempty"` // its private folder
}

// Folder is the place of a running master.
type Folder struct {
	path    string
	private string
	former  string // private folder of a master that was killed, if it is there; see Former
	shared  bool   // the private folder can be reached by other users
	base    string
	lock    *os.File // open for the life of the master; closed by Close
}

// TakenError says that an app of that name runs already.
type TakenError struct {
	Name string
	PID  int // zero: not known
}

func (e *TakenError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("an app named %s runs already", e.Name)
	}
	return fmt.Sprintf("an app named %s runs already, its master is process %d", e.Name, e.PID)
}

// Hint says what to do.
func (e *TakenError) Hint() string {
	return "choose another name with --name, or stop it: muster stop " + e.Name
}

// Open makes the place of a master and holds its name until Close, or until the process ends. A *TakenError means that another master
// has the name, a *ForeignError that the folder is another user's. Sockets in the private folder of one that is shared can be reached by other
// users, as far as they let them. Where a killed master has left workers, see Former, there is no private folder before Renew or Continue.
func Open(name string, isShared bool) (*Folder, error) {
	base, err := openBase()
	if err != nil {
		return nil, err
	}
	f := &Folder{path: filepath.Join(base, name), base: base, shared: isShared}
	if f.lock, err = hold(f.path); err != nil {
		return nil, f.refused(name, err)
	}
	old, _ := readInfo(f.path)
	awaitGuard(old.Private)
	if isPrivate(old.Private) {
		f.former = old.Private
		return f, nil
	}
	if err := f.Renew(); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Renew removes what a killed master has left, and makes the private folder. Until then that master's folder can be found, so that nothing is
// forgotten by one that is killed meanwhile.
func (f *Folder) Renew() (err error) {
	if f.former != "" {
		_ = os.RemoveAll(f.former) // what stays of it is never looked at again
		f.former = ""
	}
	f.clear()
	f.private, err = makeFolder(f.base, f.shared)
	return err
}

// Continue describes the place for Adopt, with the private folder that a killed master has left: its workers know it. The folder itself is of
// no more use; the lock in the description is the caller's.
func (f *Folder) Continue() (Handle, error) {
	h := f.Handle()
	lock, err := f.copyLock()
	if err != nil {
		return h, err
	}
	h.Private, h.Lock = f.former, lock
	f.private, f.former = f.former, ""
	_ = os.Remove(f.Socket()) // nobody listens on it
	return h, f.lock.Close()
}

// Retake takes the lock of a master that was killed before it could leave it to its successor. The descriptor is the caller's. The error is a
// *TakenError if another master has the name.
func (h *Handle) Retake() error {
	f := &Folder{path: h.Path}
	var err error
	if f.lock, err = hold(h.Path); err != nil {
		return f.refused(filepath.Base(h.Path), err)
	}
	h.Lock, err = f.copyLock()
	return errors.Join(err, f.lock.Close())
}

// copyLock returns a descriptor of the lock that is the caller's.
func (f *Folder) copyLock() (int, error) {
	lock, err := unix.FcntlInt(uintptr(f.Handle().Lock), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("keep the lock of %s: %w", f.path, err)
	}
	return lock, nil
}

// guardTime bounds the wait for the guard of a master that was killed.
const guardTime = 5 * time.Second

// awaitGuard waits until the guard of a killed master has done its work: until then its workers hold their sockets. The guard holds a
// lock on the private folder.
func awaitGuard(private string) {
	if private == "" || !isPrivate(private) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), guardTime)
	defer cancel()
	if release, err := await(ctx, private, os.O_RDONLY); err == nil {
		release()
	}
}

func (f *Folder) refused(name string, err error) error {
	if !errors.Is(err, errHeld) {
		return fmt.Errorf("hold the name %s: %w", name, err)
	}
	info, _ := readInfo(f.path) // a master that has just begun has not written it yet
	return &TakenError{Name: name, PID: info.PID}
}

// makePrivate makes the folder of sockets, with a path that leaves room for their names.
func makePrivate(base string) (string, error) {
	for _, dir := range []string{base, os.TempDir(), "/tmp"} {
		if path, err := makePrivateIn(dir); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("make a folder for sockets in %s, %s or /tmp: none is writable with a short path", base, os.TempDir())
}

func makePrivateIn(dir string) (string, error) {
	const suffix = len("/.m4294967295")
	if len(dir)+suffix+longestSocket > maxPath {
		return "", unix.ENAMETOOLONG
	}
	return os.MkdirTemp(dir, ".m")
}

func makeFolder(base string, isShared bool) (string, error) {
	if isShared {
		return makeShared(base)
	}
	return makePrivate(base)
}

// Private is the folder for what must go with the master even if it is killed.
func (f *Folder) Private() string { return f.private }

// Former is the private folder that a killed master has left, because nobody guarded it: its workers may live. Empty: there is none. See Renew
// and Continue.
func (f *Folder) Former() string { return f.former }

// Socket is the path for the control socket.
func (f *Folder) Socket() string {
	if path := filepath.Join(f.path, SocketName); len(path) <= maxPath {
		return path
	}
	return filepath.Join(f.private, SocketName)
}

// Publish lets others find the master. The socket is completed if it is empty.
func (f *Folder) Publish(info Info) error {
	if info.Socket == "" {
		info.Socket = f.Socket()
	}
	info.Private = f.private
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(f.path, infoFile)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Close removes the place and lets the name go. It may be called on nil.
func (f *Folder) Close() {
	if f == nil {
		return
	}
	if f.private != "" {
		_ = os.RemoveAll(f.private) // the guard tries again
	}
	if f.former == "" { // else the next one must find it
		f.clear()
		_ = os.Remove(f.lock.Name())
		_ = os.Remove(f.path)
	}
	_ = f.lock.Close()
}

// clear removes the files by which a master is found. What is left means nothing.
func (f *Folder) clear() {
	for _, name := range []string{SocketName, infoFile, infoFile + ".new"} {
		_ = os.Remove(filepath.Join(f.path, name))
	}
}

// Handle is a Folder for the program that goes on after an execve. Lock must be kept open.
type Handle struct {
	Path    string `json:"path"`
	Private string `json:"private"`
	Lock    int    `json:"lock"`
}

// Handle describes the place for Adopt; the descriptor is borrowed.
func (f *Folder) Handle() Handle {
	h := Handle{Path: f.path, Private: f.private, Lock: -1}
	if raw, err := f.lock.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { h.Lock = int(fd) })
	}
	return h
}

// Adopt goes on with the place of the master that this process was before; it takes over the descriptor.
func Adopt(h Handle) *Folder {
	unix.CloseOnExec(h.Lock)
	return &Folder{path: h.Path, private: h.Private, lock: os.NewFile(uintptr(h.Lock), filepath.Join(h.Path, lockFile))}
}

// IsLeft tells whether a master of that name has left its place without giving it back, as one does that was killed, or holds it.
func IsLeft(name string) bool {
	infos, err := Find(name)
	return err == nil && len(infos) > 0
}

// IsHeld tells whether a process holds that name, be it that of a master which does not answer yet.
func IsHeld(name string) bool {
	for _, base := range bases() {
		if trusted(base) && isLocked(filepath.Join(base, name, lockFile)) {
			return true
		}
	}
	return false
}

func isLocked(path string) bool {
	lock, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	err = flock(lock)
	_ = lock.Close()
	return errors.Is(err, errHeld)
}
