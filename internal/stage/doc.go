// Package stage is the exec stage: what runs between a fork by the master and
// the program of a worker.
//
// A fork in a Go program can do little before it must exec, and a good deal
// is to be done in the new process itself: LISTEN_PID must carry its pid, and
// credentials, limits, affinity and the parent-death signal belong to it. So
// the master executes itself again under the name [Argv0]. The stage reads one
// [Doc] from file descriptor 0 until end of file, prepares itself and becomes
// the program by execve: the pid stays the same, nothing of muster is left.
//
//	master                                stage
//	  │ fork, exec "/proc/self/exe"         │
//	  ├────── fd 0: Doc, then EOF ─────────►│ limits, credentials, directory, …
//	  │◄───── StatusFD: warnings ───────────┤
//	  │◄───── StatusFD: {"op":"exec"} ──────┤ about to call execve
//	  │◄───── StatusFD: EOF ────────────────┤ the program runs (CLOEXEC), or
//	  │◄───── StatusFD: error, EOF ─────────┤ it could not be started: exit 127
//
// An end of file without the exec line means that the stage itself was killed.
package stage

import (
	"errors"
	"syscall"
)

// Argv0 is the argv[0] under which a muster binary is the exec stage.
const Argv0 = "muster-stage"

// Version is the version of [Doc] this binary speaks. The stage refuses any
// other: after the binary was replaced, "/proc/self/exe" still is the old one,
// so both ends always come from the same build.
const Version = 1

// ExitFailed is the exit code of a stage that could not become the program,
// the code shells use for a command not found.
const ExitFailed = 127

// FirstFD is the first file descriptor of a program's inherited files
// (SD_LISTEN_FDS_START of sd_listen_fds(3)).
const FirstFD = 3

// OpExec is the Op of the line that announces the execve.
const OpExec = "exec"

// Doc says what the stage is to become. Its JSON form goes through fd 0.
type Doc struct {
	Version int `json:"version"`

	// Path is the program. With a slash it is taken as it is, relative to Dir;
	// without, it is looked up in the PATH of Env. Empty means Argv[0].
	Path string   `json:"path"`
	Argv []string `json:"argv"`
	// Env is the whole environment. LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES and
	// LISTEN_PIDFDID in it are dropped: they name another process's sockets.
	Env []string `json:"env"`
	// Dir is the working directory; empty keeps the master's.
	Dir string `json:"dir,omitempty"`
	// Stdin is the path opened as fd 0; empty means /dev/null.
	Stdin string `json:"stdin,omitempty"`

	// StatusFD is the write end of the status pipe.
	StatusFD int `json:"status_fd"`
	// ListenFDs is the number of listening sockets, from [FirstFD] on. When it is
	// not zero, LISTEN_FDS and LISTEN_PID are set, and LISTEN_FDNAMES too if
	// ListenNames is not empty.
	ListenFDs   int      `json:"listen_fds,omitempty"`
	ListenNames []string `json:"listen_names,omitempty"`
	// KeepFDs are further descriptors the program inherits. Every descriptor
	// from [FirstFD] on that is not listed is closed by the execve.
	KeepFDs []int `json:"keep_fds,omitempty"`

	// DeathSignal, if not zero, is sent when the thread that started the process
	// ends. The stage dies at once if its parent already is not Parent.
	DeathSignal int `json:"death_signal,omitempty"`
	Parent      int `json:"parent,omitempty"`

	Umask       *int        `json:"umask,omitempty"`
	Rlimits     []Rlimit    `json:"rlimits,omitempty"`
	Nice        *int        `json:"nice,omitempty"`
	OOMScoreAdj *int        `json:"oom_score_adj,omitempty"`
	NoNewPrivs  bool        `json:"no_new_privs,omitempty"`
	User        *Credential `json:"user,omitempty"`
	// CPUs is the set of CPUs the program may run on; empty keeps the master's.
	CPUs []int `json:"cpus,omitempty"`
	// Groups are files of control groups, cgroup.procs, that the process enters
	// before it becomes another user.
	Groups []string `json:"groups,omitempty"`
	// Strict makes a refused rlimit, nice, OOM score or affinity fatal; otherwise
	// it is a warning.
	Strict bool `json:"strict,omitempty"`
}

// Rlimit is one resource limit, in the units of setrlimit(2). Resource is an
// RLIMIT_ number, see [Resource].
type Rlimit struct {
	Resource int    `json:"resource"`
	Cur      uint64 `json:"cur"`
	Max      uint64 `json:"max"`
}

// Credential is who the program runs as. Groups replaces all supplementary
// groups; empty leaves none.
type Credential struct {
	UID    int   `json:"uid"`
	GID    int   `json:"gid"`
	Groups []int `json:"groups,omitempty"`
}

// Report is one line of the status pipe: a warning, the announcement of the
// execve ([OpExec] without errno), or why the program could not be started.
type Report struct {
	Op      string `json:"op"`
	Path    string `json:"path,omitempty"`
	Errno   int    `json:"errno,omitempty"`
	Error   string `json:"error,omitempty"`
	Warning bool   `json:"warning,omitempty"`
}

// Failed reports whether the line is neither a warning nor the announcement.
func (r Report) Failed() bool { return !r.Warning && r.Error != "" }

// Err is the error the line carries, matching the errno where there is one;
// nil without one.
func (r Report) Err() error {
	switch {
	case r.Error == "":
		return nil
	case r.Errno == 0:
		return errors.New(r.Error)
	}
	return reported{r.Error, syscall.Errno(r.Errno)}
}

// reported is an error as it was in the stage: its text and its errno.
type reported struct {
	text  string
	errno syscall.Errno
}

func (e reported) Error() string { return e.text }
func (e reported) Unwrap() error { return e.errno }

// String is the line for people: "setrlimit nofile: operation not permitted".
func (r Report) String() string {
	text := r.Op
	if r.Path != "" {
		text += " " + r.Path
	}
	if err := r.Err(); err != nil {
		text += ": " + err.Error()
	}
	return text
}
