package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/fdstore"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/rundir"
	"github.com/musterd/muster/internal/stage"
)

// LaunchVariable holds the number of one end of a socket pair. A master reads its Launch from there, to the end, and
// answers with a Report when its sockets are open, or with the reason why they are not.
const LaunchVariable = "MUSTER_LAUNCH"

// FinishVariable tells a master that its app is to be stopped: it goes on with what a master that was killed in the middle of that has left, and
// starts nothing.
const FinishVariable = "MUSTER_FINISH"

// MasterCommand is the hidden command that becomes a master.
const MasterCommand = "master"

// Report is a master's answer.
type Report struct {
	Socket string     `json:"socket,omitempty"` // of its API
	Error  *api.Error `json:"error,omitempty"`
}

// startTime bounds the time from the start of a master to its Report: it only opens sockets and reads files meanwhile.
const startTime = 30 * time.Second

// master is a process that this daemon has started or found.
type master struct {
	process *proc.Process
	socket  string
	since   time.Time
}

// startMaster starts a master and returns when it has opened everything. The error is what it says, in words for the user.
func (d *Daemon) startMaster(ctx context.Context, l api.Launch, store *fdstore.Store, finish bool) (*master, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	near, far, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer func() { _ = near.Close() }()
	log, err := d.openLog(l.Spec.Name)
	if err != nil {
		_ = unix.Close(far)
		return nil, err
	}
	spec := proc.Spec{Doc: stage.Doc{Path: d.binary(), Argv: []string{"muster", MasterCommand, l.Spec.Name}}, Stdout: log, Stderr: log, Leave: true}
	for _, k := range store.Kept() {
		spec.Files, spec.Doc.ListenNames = append(spec.Files, k.FD), append(spec.Doc.ListenNames, k.Name)
	}
	spec.Doc.ListenFDs = len(spec.Files)
	spec.Files = append(spec.Files, far)
	spec.Doc.Env = masterEnv(l.Env, LaunchVariable+"="+strconv.Itoa(stage.FirstFD+len(spec.Files)-1), "NOTIFY_SOCKET="+store.Path(), "MUSTER_STORE=1")
	if finish {
		spec.Doc.Env = append(spec.Doc.Env, FinishVariable+"=1")
	}
	process, err := d.spawner.Start(ctx, spec)
	_ = unix.Close(far)
	_ = unix.Close(log)
	if err != nil {
		return nil, err
	}
	report, err := converse(ctx, near, l)
	if err == nil && report.Error == nil {
		return &master{process: process, socket: report.Socket, since: time.Now()}, nil
	}
	_ = process.Signal(unix.SIGKILL)
	exit := process.Wait()
	_ = process.Close()
	if err == nil {
		return nil, report.Error
	}
	return nil, fmt.Errorf("the master of %s ended before it had started, %v: %w", l.Spec.Name, exit, err)
}

// converse gives the master its Launch and reads its Report.
func converse(ctx context.Context, near *os.File, l api.Launch) (Report, error) {
	defer context.AfterFunc(ctx, func() { _ = near.SetDeadline(time.Unix(1, 0)) })()
	if err := json.NewEncoder(near).Encode(l); err != nil {
		return Report{}, err
	}
	if err := shutdownWrite(near); err != nil {
		return Report{}, err
	}
	text, err := io.ReadAll(near)
	if err != nil {
		return Report{}, err
	}
	if len(text) == 0 {
		return Report{}, io.ErrUnexpectedEOF
	}
	var r Report
	err = json.Unmarshal(text, &r)
	return r, err
}

func shutdownWrite(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var shut error
	err = raw.Control(func(fd uintptr) { shut = unix.Shutdown(int(fd), unix.SHUT_WR) })
	return errors.Join(err, shut)
}

// binary is what a master is started from: the file that this process was started from, which may be newer by now, or else this process.
func (d *Daemon) binary() string {
	if info, err := os.Stat(d.cfg.Binary); err == nil && info.Mode().IsRegular() {
		return d.cfg.Binary
	}
	return "/proc/self/exe"
}

// ours are the variables that say where muster keeps its things. A master has the daemon's.
var ours = []string{"MUSTER_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "TMPDIR", "HOME"}

// masterEnv is the environment of a master's process: the user's, with the daemon's places.
func masterEnv(env []string, more ...string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(ours, name) || name == "NOTIFY_SOCKET" || name == "WATCHDOG_USEC" || name == "WATCHDOG_PID"
	})
	for _, name := range ours {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return append(env, more...)
}

// LogDir is the folder of an app's log files, in a state folder.
func LogDir(state, name string) string { return filepath.Join(state, logsFolder, name) }

// openLog opens the file for what an app's master writes besides its log: why it crashed.
func (d *Daemon) openLog(name string) (int, error) {
	dir := LogDir(d.state, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return -1, err
	}
	path := filepath.Join(dir, crashFile)
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// findMaster finds the master of an app that an earlier daemon has started; nil if there is none.
func findMaster(name string) *master {
	infos, err := rundir.Find(name)
	if err != nil {
		return nil
	}
	for _, info := range infos {
		pid, pidfd, err := rundir.Owner(info.Socket)
		if err != nil {
			continue
		}
		process, err := proc.Adopt(proc.Handle{PID: pid, PIDFD: pidfd, Leave: true})
		if err != nil {
			_ = unix.Close(pidfd)
			continue
		}
		return &master{process: process, socket: info.Socket, since: info.Started}
	}
	return nil
}

// awaitMaster is findMaster where there may be one that an earlier daemon has started and that does not answer yet.
func awaitMaster(ctx context.Context, name string) *master {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		held := rundir.IsHeld(name) // looked at first: who lets go has answered no more
		if m := findMaster(name); m != nil {
			return m
		}
		if !held || pause(ctx, linkPause) != nil {
			return nil
		}
	}
}

// isClean tells whether a master ended by itself and in order: then it has taken its place away.
func isClean(name string, exit proc.Exit) bool {
	if exit.Known {
		return exit.Success()
	}
	infos, err := rundir.Find(name)
	return err == nil && len(infos) == 0
}

// endKept kills the workers that a master has left, whose descriptors are of no use, and forgets these.
func endKept(store *fdstore.Store) {
	for _, k := range store.Kept() {
		words := strings.Split(k.Name, ".")
		if len(words) != 4 || words[1] != "process" {
			continue
		}
		pid, err := strconv.Atoi(words[2])
		if err != nil {
			continue
		}
		fd, err := unix.FcntlInt(uintptr(k.FD), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			continue
		}
		p, err := proc.Adopt(proc.Handle{PID: pid, PIDFD: fd, Token: words[3]})
		if err != nil {
			_ = unix.Close(fd)
			continue
		}
		_ = p.SignalGroup(unix.SIGKILL)
		p.Wait()
		_ = p.Close()
	}
	store.Clear()
}
