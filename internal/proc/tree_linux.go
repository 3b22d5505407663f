package proc

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tree is pid and all its descendants, each after its parent. It is a snapshot
// of a moving thing: by the time it is read any of them may have ended.
func Tree(pid int) []int {
	return append([]int{pid}, descendants([]int{pid}, nobody)...)
}

func nobody(int) bool { return false }

// BecomeSubreaper makes this process the new parent of its descendants when
// they are orphaned, as if it were PID 1. Run a [Reaper] then.
func BecomeSubreaper() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// inheritsOrphans reports whether orphaned descendants become our children.
func inheritsOrphans() bool {
	var set int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&set)), 0, 0, 0)
	return os.Getpid() == 1 || err == nil && set != 0
}

// descendants of the roots, parents first, without the trees of those to skip.
func descendants(roots []int, skip func(pid int) bool) []int {
	childrenOf := lister()
	var found []int
	for queue := slices.Clone(roots); len(queue) > 0; queue = queue[1:] {
		for _, pid := range childrenOf(queue[0]) {
			if !skip(pid) {
				found = append(found, pid)
				queue = append(queue, pid)
			}
		}
	}
	return found
}

// lister is the cheapest way to find the children of processes here.
func lister() func(pid int) []int {
	if _, err := system.childrenByTask(os.Getpid()); err == nil {
		return func(pid int) []int {
			pids, _ := system.childrenByTask(pid)
			return pids
		}
	}
	byParent := scans.next()
	return func(pid int) []int { return byParent[pid] }
}

// childrenByTask reads /proc/pid/task/*/children, which only kernels built with
// CONFIG_PROC_CHILDREN have.
func (fs procFS) childrenByTask(pid int) ([]int, error) {
	files, err := filepath.Glob(fs.path(pid, "task/*/children"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errNoChildrenFile
	}
	var pids []int
	for _, file := range files {
		list, _ := os.ReadFile(file)
		for field := range strings.FieldsSeq(string(list)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids, nil
}

var errNoChildrenFile = errors.New("no children file")

// byParent looks at every process once.
func (fs procFS) byParent() map[int][]int {
	found := make(map[int][]int)
	for _, pid := range fs.pids() {
		if s, err := fs.stat(pid); err == nil {
			found[s.parent] = append(found[s.parent], pid)
		}
	}
	return found
}

// scans lets those who look at every process at the same time, as when a
// thousand workers are stopped at once, do it together.
var scans sharedScan

type sharedScan struct {
	started atomic.Uint64
	running sync.Mutex // one scan at a time
	found   map[int][]int
}

// next is the result, to be read only, of a scan that began after the call.
func (s *sharedScan) next() map[int][]int {
	before := s.started.Load()
	s.running.Lock()
	defer s.running.Unlock()
	if s.started.Load() == before {
		s.started.Add(1)
		s.found = system.byParent()
	}
	return s.found
}
