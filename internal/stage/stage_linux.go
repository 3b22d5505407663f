package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Main returns at once unless this process was started as the exec stage; then
// it becomes the program, or reports why not and exits with [ExitFailed]. It is
// to be called first thing in main and in TestMain.
func Main() {
	if len(os.Args) == 0 || os.Args[0] != Argv0 {
		return
	}
	// Affinity, niceness, credentials, no_new_privs, the signal mask and the
	// parent-death signal belong to the thread that calls execve.
	runtime.LockOSThread()
	doc, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "muster: read exec stage document:", err)
		os.Exit(ExitFailed)
	}
	s := stage{doc: doc}
	s.report(failure(s.become()))
	os.Exit(ExitFailed)
}

func read(r io.Reader) (*Doc, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	doc := new(Doc)
	if err := json.Unmarshal(data, doc); err != nil {
		return nil, err
	}
	if doc.Version != Version {
		return nil, fmt.Errorf("version %d, this binary speaks %d", doc.Version, Version)
	}
	return doc, nil
}

// stage is this process on its way to the program.
type stage struct {
	doc *Doc
}

// opError is a step that failed: what, on what, why.
type opError struct {
	op, path string
	err      error
}

func (e *opError) Error() string { return e.op + " " + e.path + ": " + e.err.Error() }
func (e *opError) Unwrap() error { return e.err }

// fail wraps err, if any, into an opError.
func fail(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &opError{op, path, err}
}

// become carries out the document and returns only on failure. The order
// matters: what needs privilege comes before the user, the parent-death signal
// after it (a change of credentials clears it), and limits last of all.
func (s *stage) become() error {
	steps := []func() error{
		s.seal,
		s.stdin,
		s.schedule,
		s.raise,
		s.enter,
		s.user,
		s.deathSignal,
		s.dir,
		s.noNewPrivs,
		s.signals,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return s.exec()
}

// stdin replaces the document's pipe by the program's standard input. A session
// leader must not catch a terminal by opening it.
func (s *stage) stdin() error {
	path := s.doc.Stdin
	if path == "" {
		path = os.DevNull
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail("open stdin", path, err)
	}
	return fail("open stdin", path, unix.Dup2(fd, 0))
}

func (s *stage) user() error {
	if s.doc.Umask != nil {
		unix.Umask(*s.doc.Umask)
	}
	u := s.doc.User
	if u == nil {
		return nil
	}
	s.giveOutput(u.UID)
	if err := syscall.Setgroups(u.Groups); err != nil {
		return fail("setgroups", fmt.Sprint(u.Groups), err)
	}
	if err := syscall.Setresgid(u.GID, u.GID, u.GID); err != nil {
		return fail("setgid", fmt.Sprint(u.GID), err)
	}
	return fail("setuid", fmt.Sprint(u.UID), syscall.Setresuid(u.UID, u.UID, u.UID))
}

// giveOutput makes the pipes of stdout and stderr the user's: a program may open /dev/stderr again, which the kernel checks as any file.
func (s *stage) giveOutput(uid int) {
	for _, fd := range []int{1, 2} {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
			_ = unix.Fchown(fd, uid, -1)
		}
	}
}

// deathSignal asks for the signal, then looks whether the parent ended before
// that.
func (s *stage) deathSignal() error {
	if s.doc.DeathSignal == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(s.doc.DeathSignal), 0, 0, 0); err != nil {
		return fail("set parent-death signal", fmt.Sprint(s.doc.DeathSignal), err)
	}
	if os.Getppid() != s.doc.Parent {
		return fail("find parent", fmt.Sprint(s.doc.Parent), unix.ESRCH)
	}
	return nil
}

func (s *stage) dir() error {
	if s.doc.Dir == "" {
		return nil
	}
	return fail("chdir", s.doc.Dir, unix.Chdir(s.doc.Dir))
}

func (s *stage) noNewPrivs() error {
	if !s.doc.NoNewPrivs {
		return nil
	}
	return fail("set", "no_new_privs", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}

// exec announces and performs the execve. syscall.Exec, not the bare call: it
// restores the soft limit on open files that the Go runtime raised at start.
func (s *stage) exec() error {
	path, err := lookup(s.program(), s.doc.Env)
	if err != nil {
		return fail("find program", s.program(), err)
	}
	env := s.environment(os.Getpid())
	s.report(Report{Op: OpExec, Path: path})
	if err := s.limit(); err != nil {
		return err
	}
	return explain(path, syscall.Exec(path, s.doc.Argv, env))
}

func (s *stage) program() string {
	if s.doc.Path == "" && len(s.doc.Argv) > 0 {
		return s.doc.Argv[0]
	}
	return s.doc.Path
}

// warn reports a refused wish, or returns it as an error when the document is
// strict.
func (s *stage) warn(op, path string, err error) error {
	if err == nil || s.doc.Strict {
		return fail(op, path, err)
	}
	r := failure(fail(op, path, err))
	r.Warning = true
	s.report(r)
	return nil
}

func failure(err error) Report {
	r := Report{Error: err.Error()}
	if op, ok := errors.AsType[*opError](err); ok {
		r.Op, r.Path, r.Error = op.op, op.path, op.err.Error()
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		r.Errno = int(errno)
	}
	return r
}

// report writes one line. Nobody is left to hear that a write failed.
func (s *stage) report(r Report) {
	line, err := json.Marshal(r)
	if err != nil {
		return
	}
	_, _ = unix.Write(s.doc.StatusFD, append(line, '\n'))
}
