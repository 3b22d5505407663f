package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Open makes the group, which must not exist or be one that is left: what it
// still holds is killed. Nothing stays behind on an error.
func (g *Group) Open() error {
	for _, d := range g.Dirs {
		err := os.Mkdir(d.Path, 0o755)
		if errors.Is(err, fs.ErrExist) {
			if err = clearDir(d.Path); err == nil {
				err = os.Mkdir(d.Path, 0o755)
			}
		}
		if err != nil {
			g.remove()
			return err
		}
	}
	return nil
}

func (g *Group) remove() {
	for _, d := range g.Dirs {
		_ = os.Remove(d.Path)
	}
}

// Limit sets the limits of the group, and takes away those that are zero. It
// returns what was refused, by resource.
func (g *Group) Limit(l Limits) map[Resource]error {
	refused := map[Resource]error{}
	for _, d := range g.Dirs {
		for _, r := range d.Resources {
			for _, s := range d.settings(r, l) {
				if err := write(filepath.Join(d.Path, s.file), s.value); err != nil {
					refused[r] = err
				}
			}
		}
	}
	return refused
}

type setting struct{ file, value string }

// period is that of a CPU quota, in microseconds: the kernel's own default.
const period = 100000

// quota is the least that the kernel takes, or more.
func quota(cpus float64) string { return strconv.Itoa(max(1000, int(cpus*period))) }

// settings are the files that a limit is written to, in order.
func (d Dir) settings(r Resource, l Limits) []setting {
	value := func(text, none string) string {
		if l.Bounds(r) {
			return text
		}
		return none
	}
	switch {
	case r == Tasks:
		return []setting{{"pids.max", value(strconv.Itoa(l.Tasks), "max")}}
	case r == Memory && d.V1:
		return []setting{{"memory.limit_in_bytes", value(strconv.FormatInt(l.Memory, 10), "-1")}}
	case r == Memory:
		return []setting{{"memory.max", value(strconv.FormatInt(l.Memory, 10), "max")}}
	case d.V1:
		return []setting{{"cpu.cfs_period_us", strconv.Itoa(period)}, {"cpu.cfs_quota_us", value(quota(l.CPU), "-1")}}
	}
	return []setting{{"cpu.max", value(quota(l.CPU), "max") + " " + strconv.Itoa(period)}}
}

// Counts reads the counters of the group; false where it has none.
func (g *Group) Counts() (Counts, bool) {
	d := g.dir(Memory)
	if d == nil {
		return Counts{}, false
	}
	var c Counts
	var ok bool
	if d.V1 {
		c.Kills, ok = readCount(filepath.Join(d.Path, "memory.oom_control"), "oom_kill")
		if words := readWords(filepath.Join(d.Path, "memory.failcnt")); len(words) == 1 {
			c.Full, _ = strconv.ParseUint(words[0], 10, 64)
		}
		return c, ok
	}
	c.Kills, ok = readCount(filepath.Join(d.Path, "memory.events"), "oom_kill")
	var local bool
	if c.Full, local = readCount(filepath.Join(d.Path, "memory.events.local"), "oom"); !local { // since Linux 5.2
		c.Full, _ = readCount(filepath.Join(d.Path, "memory.events"), "oom")
	}
	return c, ok
}

// Clear kills what is in the group and in those below, and removes them. It
// blocks until that is done, for a second at most.
func (g *Group) Clear() error {
	var errs []error
	for _, d := range g.Dirs {
		errs = append(errs, clearDir(d.Path))
	}
	return errors.Join(errs...)
}

// Children are the names of the groups in g.
func (g *Group) Children() []string {
	var names []string
	for _, d := range g.Dirs {
		children, _ := childrenOf(d.Path)
		for _, child := range children {
			names = append(names, filepath.Base(child))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func childrenOf(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, filepath.Join(dir, e.Name()))
		}
	}
	return all, nil
}

const (
	clearTime = time.Second
	// leaving is how long a process that has let go of all else still is in its
	// group, in milliseconds.
	leaving = 5
)

// clearDir kills what is in a group and in those below, and removes them.
func clearDir(dir string) error {
	until := time.Now().Add(clearTime)
	for {
		err := removeTree(dir)
		if err == nil || !errors.Is(err, unix.EBUSY) || time.Now().After(until) {
			return err
		}
		killIn(dir)
	}
}

// removeTree removes a group and those below; EBUSY: there are processes.
func removeTree(dir string) error {
	err := unix.Rmdir(dir)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	children, lerr := childrenOf(dir)
	if lerr != nil || len(children) == 0 {
		return &os.PathError{Op: "remove", Path: dir, Err: err}
	}
	for _, child := range children {
		if err := removeTree(child); err != nil {
			return err
		}
	}
	if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "remove", Path: dir, Err: err}
	}
	return nil
}

// killIn kills the processes of a group and of those below, and waits for their
// end for a moment. Where tasks are counted, nobody is born there any more, so
// that no fork outruns it.
func killIn(dir string) {
	stopBirths(dir)
	if write(filepath.Join(dir, "cgroup.kill"), "1") == nil { // version 2, since Linux 5.14
		awaitEmpty(filepath.Join(dir, "cgroup.events"))
		return
	}
	killMembers(dir)
}

func stopBirths(dir string) {
	_ = write(filepath.Join(dir, "pids.max"), "0")
	children, _ := childrenOf(dir)
	for _, child := range children {
		stopBirths(child)
	}
}

// awaitEmpty waits until a group of version 2 has no processes: the kernel tells
// each change of its events.
func awaitEmpty(events string) {
	fd, err := unix.Open(events, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	text := make([]byte, 256)
	for until := time.Now().Add(clearTime); time.Now().Before(until); {
		n, err := unix.Pread(fd, text, 0)
		if err != nil {
			return
		}
		if populated, known := countIn(string(text[:n]), "populated"); !known || populated == 0 {
			return
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, int(clearTime/time.Millisecond/4))
	}
}

// killMembers kills one process after the other. Who is in the group at two
// looks, with a descriptor between them, is the process that the descriptor
// means.
func killMembers(dir string) {
	held := map[string]int{}
	for _, pid := range members(dir) {
		n, _ := strconv.Atoi(pid)
		if fd, err := unix.PidfdOpen(n, 0); n > 0 && err == nil {
			held[pid] = fd
		}
	}
	again := members(dir)
	var ends []unix.PollFd
	for pid, fd := range held {
		if slices.Contains(again, pid) {
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			ends = append(ends, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
	for i := range ends {
		_, _ = unix.Poll(ends[i:i+1], int(clearTime/time.Millisecond/4))
	}
	for _, fd := range held {
		unix.Close(fd)
	}
	_, _ = unix.Poll(nil, leaving)
}

// members are the process ids in a group and in those below.
func members(dir string) []string {
	all := readWords(filepath.Join(dir, procs))
	children, _ := childrenOf(dir)
	for _, child := range children {
		all = append(all, members(child)...)
	}
	return all
}

// ClearFolder clears the group with that folder, see [Group.Clear].
func ClearFolder(dir string) error {
	if !strings.HasPrefix(filepath.Base(dir), "muster-") {
		return &os.PathError{Op: "remove", Path: dir, Err: fs.ErrInvalid}
	}
	return clearDir(dir)
}
