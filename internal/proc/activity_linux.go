package proc

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of times in /proc, USER_HZ: 1/100 s on all of Linux's
// architectures that Go knows.
const clockTick = 10 * time.Millisecond

// Observe looks at processes, of which those that have ended count nothing. It
// fails if the first one is not there.
func Observe(pids []int) (Activity, error) { return system.observe(pids) }

func (fs procFS) observe(pids []int) (Activity, error) {
	var a Activity
	for i, pid := range pids {
		state, used, err := fs.cpu(pid)
		if i == 0 {
			if err != nil {
				return Activity{}, err
			}
			a.State, a.Wait, a.Tracer = state, fs.wait(pid), fs.tracer(pid)
		}
		a.CPU += used
		a.Delayed += fs.delayed(pid)
	}
	return a, nil
}

// Used is the state of a process, as in proc(5), and the CPU time that it has
// used. It costs a short read.
func Used(pid int) (state byte, used time.Duration, err error) { return system.cpu(pid) }

// cpu reads state and CPU time, with that of threads that have ended.
func (fs procFS) cpu(pid int) (state byte, used time.Duration, err error) {
	var room [1 << 10]byte
	line, err := readShort(fs.path(pid, "stat"), room[:])
	if err != nil {
		return 0, 0, err
	}
	const first, user, system = 0, 11, 12 // fields after the name
	fields := strings.Fields(string(line[bytes.LastIndexByte(line, ')')+1:]))
	if len(fields) <= system {
		return 0, 0, errBadStat
	}
	u, err1 := strconv.ParseInt(fields[user], 10, 64)
	s, err2 := strconv.ParseInt(fields[system], 10, 64)
	return fields[first][0], time.Duration(u+s) * clockTick, errors.Join(err1, err2)
}

// wait is where the main thread sleeps. The kernel tells who may debug it.
func (fs procFS) wait(pid int) string {
	var room [128]byte
	name, err := readShort(fs.path(pid, "wchan"), room[:])
	if err != nil || string(name) == "0" {
		return ""
	}
	return string(name)
}

func (fs procFS) tracer(pid int) int {
	data, err := os.ReadFile(fs.path(pid, "status"))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte("TracerPid:")); ok {
			n, _ := strconv.Atoi(string(bytes.TrimSpace(rest)))
			return n
		}
	}
	return 0
}

// delayed adds up what the threads have waited for a CPU: the second number of
// schedstat, which not every kernel has.
func (fs procFS) delayed(pid int) time.Duration {
	d, err := os.Open(fs.path(pid, "task"))
	if err != nil {
		return 0
	}
	defer d.Close()
	tids, _ := d.Readdirnames(-1)
	var room [128]byte
	var total time.Duration
	for _, tid := range tids {
		data, err := readShort(fs.path(pid, "task/"+tid+"/schedstat"), room[:])
		if fields := bytes.Fields(data); err == nil && len(fields) > 1 {
			n, _ := strconv.ParseInt(string(fields[1]), 10, 64)
			total += time.Duration(n)
		}
	}
	return total
}
