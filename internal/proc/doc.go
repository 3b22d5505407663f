// Package proc starts, signals, awaits and adopts processes, and brings down
// their trees.
//
// A process is held by a pidfd from birth to reap, so no signal ever reaches a
// stranger that got a recycled pid. Every process started here leads its own
// session: a terminal's ^C does not reach it, and its pid names its process
// group. It carries a random token in the environment ([TokenVariable]), by
// which descendants that left the session are still known as its own.
//
// There is no wait for "any child" here: each [Process] is reaped by its own
// [Process.Wait], and the [Reaper] takes only what the table of own children
// does not know.
package proc

import (
	"fmt"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/cgroup"
	"github.com/musterd/muster/internal/stage"
)

// TokenVariable is the environment variable that marks a worker and everything
// it starts.
const TokenVariable = "MUSTER_WORKER"

// Spec is one process to start.
type Spec struct {
	// Doc is what the process becomes. Start fills in Version, StatusFD, Parent,
	// KeepFDs and the [TokenVariable].
	Doc stage.Doc
	// Files become descriptors 3, 4, … of the program, in order, the first
	// Doc.ListenFDs of them announced as listening sockets. Borrowed: the caller
	// keeps them open until Start returns and closes them; their flags, O_NONBLOCK
	// above all, are left alone.
	Files []int
	// Stdout and Stderr are borrowed in the same way; negative means /dev/null.
	Stdout, Stderr int
	// Exe is the muster binary that acts as the exec stage; empty means
	// "/proc/self/exe", which works even after the file was replaced.
	Exe string
	// Guard, if not nil, is told about the process before the process knows what
	// it is to become, and told again when it is gone.
	Guard *Guard
	// Group, if not nil, is a control group that the process enters and has for
	// itself. It was opened; from Start on it belongs to the process, and is
	// cleared at its end or when the start fails.
	Group *cgroup.Group
	// Leave keeps Wait from killing what is left of the process's tree: somebody
	// else goes on with it.
	Leave bool
	// Born, if not nil, is called with the process before it becomes the program.
	// The pidfd in the handle is borrowed.
	Born func(Handle)
}

// StartError says which step of a start failed. Nothing is left of the process.
type StartError struct {
	Op   string // "fork", "chdir", "exec", "exec interpreter", "find program", …
	Path string // what the step was about: a program, a folder, a user
	Err  error  // usually matches a syscall.Errno
}

func (e *StartError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err)
}

// Unwrap gives Err.
func (e *StartError) Unwrap() error { return e.Err }

// Exit is how a process ended.
type Exit struct {
	// Known is false when the process was not ours to reap and the kernel could
	// not tell (Linux < 6.15); then every other field is zero.
	Known bool
	// Code is the exit code; meaningful when Signal is zero.
	Code   int
	Signal unix.Signal
	Core   bool
	// UserTime and SysTime include descendants that were waited for. Zero for a
	// process that was not ours to reap.
	UserTime, SysTime time.Duration
	// MaxRSS is in bytes. The kernel carries the peak over execve, so it is never
	// below that of the exec stage.
	MaxRSS int64
	// Counts are those of the process's control group at its end, if it had one.
	Counts cgroup.Counts `json:"counts,omitzero"`
}

// String is "exit status 3", "killed by SIGKILL", "killed by SIGSEGV (core
// dumped)" or "unknown".
func (e Exit) String() string {
	switch {
	case !e.Known:
		return "unknown"
	case e.Signal == 0:
		return "exit status " + strconv.Itoa(e.Code)
	case e.Core:
		return "killed by " + signalName(e.Signal) + " (core dumped)"
	}
	return "killed by " + signalName(e.Signal)
}

// Success reports an exit code of zero.
func (e Exit) Success() bool { return e.Known && e.Signal == 0 && e.Code == 0 }

func signalName(sig unix.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(int(sig))
}

// exitOf decodes a wait status.
func exitOf(status syscall.WaitStatus) Exit {
	if status.Signaled() {
		return Exit{Known: true, Signal: status.Signal(), Core: status.CoreDump()}
	}
	return Exit{Known: true, Code: status.ExitStatus()}
}

// Handle is what another process needs to take over a [Process].
type Handle struct {
	PID int `json:"pid"`
	// PIDFD is a pidfd of the process, -1 if there is none; then Born must match.
	PIDFD int `json:"pidfd"`
	// Token is the value of the process's [TokenVariable].
	Token string `json:"token,omitempty"`
	// Born names the boot and the time of the process's start.
	Born string `json:"born,omitempty"`
	// Leave and Group are as in [Spec].
	Leave bool          `json:"leave,omitempty"`
	Group *cgroup.Group `json:"group,omitempty"`
}
