package proc

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
)

// mark is what the processes a worker started are known by.
type mark struct {
	session int    // the worker's session; zero once the number may be another's
	token   string // value of their TokenVariable
}

// owns reports whether pid carries the mark.
func (m mark) owns(pid int) bool {
	if s, err := system.stat(pid); err == nil && m.session != 0 && s.session == m.session {
		return true
	}
	return m.token != "" && system.carries(pid, TokenVariable+"="+m.token)
}

// killStrays kills every process carrying one of the marks among the
// candidates, asked again until none is new, and waits for their ends: a port or
// a lock that one holds may be what the worker's successor needs first. A process
// with a pending SIGKILL cannot fork, so this comes to an end and misses none.
func killStrays(candidates func() []int, marks ...mark) {
	owned := func(pid int) bool {
		for _, m := range marks {
			if m.owns(pid) {
				return true
			}
		}
		return false
	}
	var killed []int
	seen := make(map[int]bool)
	for again := true; again; {
		again = false
		for _, pid := range candidates() {
			if seen[pid] {
				continue
			}
			if fd := killSure(pid, owned); fd >= 0 {
				seen[pid], again = true, true
				killed = spill(append(killed, fd))
			}
		}
	}
	awaitEnds(killed)
}

// mostAwaited bounds the pidfds held of killed processes: none may be missing
// for the next.
const mostAwaited = 64

// spill closes the pidfds that are too many.
func spill(pidfds []int) []int {
	for len(pidfds) > mostAwaited {
		last := len(pidfds) - 1
		unix.Close(pidfds[last])
		pidfds = pidfds[:last]
	}
	return pidfds
}

// orphans are the places where what a dead worker left can be: among our
// descendants if we inherit orphans, else anywhere. A living worker's own tree
// is left out.
func orphans() []int {
	if inheritsOrphans() {
		return strangers()
	}
	return withoutSelf(system.pids())
}

// allOrphans is the look that workers ending at the same time share.
var allOrphans = shared[[]int]{look: orphans}

func strangers() []int { return descendants([]int{os.Getpid()}, children.knows) }

func withoutSelf(pids []int) []int {
	kept := pids[:0]
	for _, pid := range pids {
		if pid != os.Getpid() && !children.knows(pid) {
			kept = append(kept, pid)
		}
	}
	return kept
}

// KillStrangers kills every descendant of this process that it did not start by
// itself, and returns when they are gone or ctx is done. It is for the end of a
// master that inherited orphans and is not PID 1, after its workers are gone:
// descendants of processes of our own are left to those.
func KillStrangers(ctx context.Context) error {
	for {
		reapStrangers()
		pids := strangers()
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			if err := killAwait(ctx, pid); err != nil {
				return err
			}
		}
	}
}

// killAwait kills pid if it descends from us, and waits for its end.
func killAwait(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil // it has ended
	}
	file, err := newPidfd(fd)
	if err != nil {
		unix.Close(fd)
		return err
	}
	defer file.Close()
	defer cancelOn(ctx, file)()
	if !descends(pid) {
		return nil
	}
	if err := control(file, func(fd int) error { return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) }); err != nil {
		return nil // it has ended
	}
	if err := await(file, ended); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// descends walks from pid to its ancestors.
func descends(pid int) bool {
	for pid > 1 {
		s, err := system.stat(pid)
		if err != nil {
			return false
		}
		if s.parent == os.Getpid() {
			return true
		}
		pid = s.parent
	}
	return false
}
