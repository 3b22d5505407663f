package testutil

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// held is a process that cannot be mistaken for another: the descriptor was opened while the process had the mark.
type held struct {
	pid int
	fd  int
}

// marked opens every living process whose environment contains the variable mark. The caller closes the descriptors.
func marked(mark string) []held {
	var found []held
	for _, pid := range pids() {
		if !hasVariable(pid, mark) {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if !hasVariable(pid, mark) {
			_ = unix.Close(fd)
			continue
		}
		found = append(found, held{pid, fd})
	}
	return found
}

func pids() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// hasVariable tells whether the environment that the process was started with contains the string. A process that ended has none.
func hasVariable(pid int, variable string) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(append([]byte{0}, env...), []byte("\x00"+variable))
}

// awaitGone waits until no process has the mark and returns descriptions of those that still do at the deadline.
func awaitGone(mark string, deadline time.Time) []string {
	for {
		found := marked(mark)
		if len(found) == 0 {
			awaitDying(deadline)
			return nil
		}
		var left []string
		for _, p := range found {
			if !p.endsBefore(deadline) {
				left = append(left, p.describe())
			}
			_ = unix.Close(p.fd)
		}
		if len(left) > 0 {
			return left
		}
	}
}

// awaitDying waits for the processes, whoever's they are, that have lost their memory and with it their environment, but may not have closed
// their files yet: a socket of theirs still keeps its address.
func awaitDying(deadline time.Time) {
	for _, pid := range pids() {
		if !isDying(pid) {
			continue
		}
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			held{pid, fd}.endsBefore(deadline)
			_ = unix.Close(fd)
		}
	}
}

// isDying looks at the kernel's flags of the process, the ninth field of its stat, and for whether it is a zombie, which has closed everything.
func isDying(pid int) bool {
	const exiting, kernelThread = 0x4, 0x200000
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 7 || fields[0] == "Z" || fields[0] == "X" {
		return false
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return err == nil && flags&exiting != 0 && flags&kernelThread == 0
}

func (p held) endsBefore(deadline time.Time) bool {
	for {
		left := max(time.Until(deadline), 0)
		fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(left.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n == 1
		}
	}
}

func (p held) describe() string {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
	if err != nil {
		return fmt.Sprintf("%d", p.pid)
	}
	return fmt.Sprintf("%d %s", p.pid, strings.TrimSpace(string(bytes.ReplaceAll(cmdline, []byte{0}, []byte(" ")))))
}

// killAll kills every process with the mark and those they start meanwhile, and waits for their end.
func killAll(mark string) {
	for found := marked(mark); len(found) > 0; found = marked(mark) {
		for _, p := range found {
			_ = unix.PidfdSendSignal(p.fd, syscall.SIGKILL, nil, 0)
		}
		for _, p := range found {
			p.endsBefore(time.Now().Add(grace))
			_ = unix.Close(p.fd)
		}
	}
}

// Workers returns the process ids of the living workers that came from the process, ascending: those that a master marked with
// MUSTER_WORKER in their environment.
func (r *Running) Workers() []int {
	var workers []int
	for _, p := range marked(r.mark) {
		if p.pid != r.Pid() && hasVariable(p.pid, "MUSTER_WORKER=") {
			workers = append(workers, p.pid)
		}
		_ = unix.Close(p.fd)
	}
	slices.Sort(workers)
	return workers
}

// Sweep fails the test if, at its end, a process runs whose environment has the entry, as NAME=value, and kills it.
func Sweep(t testing.TB, entry string) {
	t.Helper()
	t.Cleanup(func() {
		if left := awaitGone(entry+"\x00", time.Now().Add(workerGrace)); len(left) > 0 {
			t.Errorf("these processes were left: %s", strings.Join(left, "; "))
			killAll(entry + "\x00")
		}
	})
}

// KillAndAwait kills a process with SIGKILL and waits for its end. It need not be a child.
func KillAndAwait(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	p := held{pid, fd}
	defer func() { _ = unix.Close(p.fd) }()
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	if !p.endsBefore(time.Now().Add(workerGrace)) {
		return fmt.Errorf("process %d was killed and goes on", pid)
	}
	return nil
}
