package proc

import (
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/cgroup"
)

// guardEnv keeps the guard small: it sleeps for all of its life but the end.
var guardEnv = []string{"GOMAXPROCS=1", "GOGC=20"}

// guardConn is the descriptor of the guard's end of the pair.
const guardConn = 3

// GuardMain returns at once unless this process was started as the guard; then
// it guards until the master is gone, and exits. It is to be called in main and
// in TestMain, after the exec stage's.
func GuardMain() {
	if len(os.Args) == 0 || os.Args[0] != guardArgv0 {
		return
	}
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE)
	closeInherited(guardConn + 1)
	_ = unix.Chdir("/")
	w := watchman{workers: make(map[int]ward)}
	w.listen()
	w.finish()
	os.Exit(0)
}

// ward is a worker under guard.
type ward struct {
	pid, pidfd int
	token      string
}

// watchman is the guard process's own side.
type watchman struct {
	workers map[int]ward
	paths   []string
	groups  []string
}

// listen returns when the master is gone.
func (w *watchman) listen() {
	text := make([]byte, 1<<13)
	rights := make([]byte, unix.CmsgSpace(4))
	for {
		n, rn, _, _, err := unix.Recvmsg(guardConn, text, rights, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		w.note(string(text[:n]), descriptor(rights[:rn]))
	}
}

// descriptor is the one a message carries, -1 if none.
func descriptor(rights []byte) int {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) == 0 {
		return -1
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return -1
	}
	return fds[0]
}

func (w *watchman) note(text string, fd int) {
	switch rest := text[1:]; text[0] {
	case '+':
		pid, token, _ := strings.Cut(rest, " ")
		w.add(ward{pid: number(pid), pidfd: fd, token: token})
	case '-':
		w.drop(number(rest))
	case '=':
		w.groups = append(w.groups, rest)
	case '~':
		w.paths = append(w.paths, rest)
		claim(rest)
	}
}

// claim holds a lock on a folder until this process ends, so that who comes after the master can wait for the end of what it left.
func claim(folder string) {
	fd, err := unix.Open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == nil && unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB) != nil {
		unix.Close(fd)
	}
}

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func (w *watchman) add(worker ward) {
	w.drop(worker.pid)
	if worker.pid > 0 && worker.pidfd >= 0 {
		w.workers[worker.pid] = worker
	}
}

func (w *watchman) drop(pid int) {
	if worker, ok := w.workers[pid]; ok {
		unix.Close(worker.pidfd)
		delete(w.workers, pid)
	}
}

// finish kills the trees of all workers, then removes control groups and files.
func (w *watchman) finish() {
	if len(w.workers) > 0 {
		held := w.holdDescendants()
		w.killGroups()
		for _, pidfd := range held {
			_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
		}
		w.killMarked()
	}
	for _, path := range w.groups {
		_ = cgroup.ClearFolder(path)
	}
	for _, path := range w.paths {
		_ = os.RemoveAll(path)
	}
}

// holdDescendants opens pidfds of what descends from the workers still alive: a
// process that left its group and hid its mark is known only by its parent, and
// only as long as that lives. The second look confirms that no pidfd is of a
// stranger.
func (w *watchman) holdDescendants() []int {
	pidfds := make(map[int]int)
	for _, pid := range w.descendants() {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			pidfds[pid] = fd
		}
	}
	var held []int
	for _, pid := range w.descendants() {
		if fd, ok := pidfds[pid]; ok {
			held = append(held, fd)
		}
	}
	return held
}

func (w *watchman) descendants() []int {
	var roots []int
	for _, worker := range w.workers {
		if worker.session() != 0 {
			roots = append(roots, worker.pid)
		}
	}
	return descendants(roots, isSelf)
}

func (w *watchman) killGroups() {
	for _, worker := range w.workers {
		_ = signalGroup(worker.pidfd, worker.pid, unix.SIGKILL)
	}
}

func (w *watchman) killMarked() {
	var marks []mark
	for _, worker := range w.workers {
		marks = append(marks, mark{session: worker.session(), token: worker.token})
	}
	killStrays(func() []int { return slices.DeleteFunc(system.pids(), isSelf) }, marks...)
}

func isSelf(pid int) bool { return pid == os.Getpid() }

// session is the worker's session while it surely holds that number: until it
// is reaped.
func (w ward) session() int {
	if unix.PidfdSendSignal(w.pidfd, 0, nil, 0) != nil {
		return 0
	}
	return w.pid
}

// closeInherited closes what the master was started with and passed on unaware.
// What this process has opened by itself is close-on-exec.
func closeInherited(first int) {
	entries, _ := os.ReadDir(system.selfPath("fd"))
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd < first {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
}
