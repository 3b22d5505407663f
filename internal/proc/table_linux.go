package proc

import (
	"sync"

	"golang.org/x/sys/unix"
)

// children are the processes this one has started and will itself reap. It is
// one per process because the kernel's list of children is: a Reaper sees the
// children of every Spawner.
var children = table{own: make(map[int]uint64), reaped: make(chan struct{}, 1)}

// table tells own children from strangers. A fork and the entry of its pid are
// one step under mu, and so are a look at the kernel's list and the reaping that
// follows from it: a process that exits right after the fork is never taken for
// a stranger.
type table struct {
	mu     sync.Mutex
	own    map[int]uint64 // pid to the serial number of its entry
	serial uint64
	reaped chan struct{} // told after each own reap: strangers may stand behind it
}

// start enters the pid that fork returns.
func (t *table) start(fork func() (int, error)) (pid int, serial uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if pid, err = fork(); err != nil {
		return 0, 0, err
	}
	t.serial++
	t.own[pid] = t.serial
	return pid, t.serial, nil
}

// adopt enters a child from before an execve.
func (t *table) adopt(pid int) {
	_, _, _ = t.start(func() (int, error) { return pid, nil })
}

// reap runs wait, which takes pid from the kernel, and drops the entry before
// the kernel can give the pid to another.
func (t *table) reap(pid int, wait func() error) error {
	t.mu.Lock()
	err := wait()
	delete(t.own, pid)
	t.mu.Unlock()
	t.poke()
	return err
}

// release drops an entry unless its pid already is another's.
func (t *table) release(pid int, serial uint64) {
	t.mu.Lock()
	if t.own[pid] == serial {
		delete(t.own, pid)
	}
	t.mu.Unlock()
	t.poke()
}

func (t *table) poke() {
	select {
	case t.reaped <- struct{}{}:
	default:
	}
}

// knows reports whether pid is an own child.
func (t *table) knows(pid int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.own[pid]
	return ok
}

// reapStranger reaps one ended child that is not our own. It sees only the
// first ended child of the kernel's list: if that is our own, its Wait must take
// it away first.
func (t *table) reapStranger() (pid int, exit Exit, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pid, err := waitid(unix.P_ALL, 0, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT)
	if err != nil || pid == 0 {
		return 0, Exit{}, false
	}
	if _, own := t.own[pid]; own {
		return 0, Exit{}, false
	}
	exit, err = reapChild(unix.P_PID, pid)
	return pid, exit, err == nil
}

// Own runs start, which starts a process by other means than a [Spawner]
// (os/exec, say), and keeps its pid from the [Reaper] until release is called,
// which must be after the process was waited for.
func Own(start func() (pid int, err error)) (release func(), err error) {
	pid, serial, err := children.start(start)
	if err != nil {
		return nil, err
	}
	return func() { children.release(pid, serial) }, nil
}
