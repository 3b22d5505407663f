package proc

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tree is pid and all its descendants, each after its parent. It is a snapshot
// of a moving thing: by the time it is read any of them may have ended.
func Tree(pid int) []int {
	return append([]int{pid}, system.descendants([]int{pid}, nobody)...)
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
func (fs procFS) descendants(roots []int, skip func(pid int) bool) []int {
	childrenOf := fs.childrenByTask
	if _, err := fs.childrenByTask(os.Getpid()); err != nil {
		childrenOf = fs.childrenByScan()
	}
	var found []int
	for queue := slices.Clone(roots); len(queue) > 0; queue = queue[1:] {
		pids, _ := childrenOf(queue[0])
		for _, child := range pids {
			if !skip(child) {
				found = append(found, child)
				queue = append(queue, child)
			}
		}
	}
	return found
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

// childrenByScan looks at every process once.
func (fs procFS) childrenByScan() func(pid int) ([]int, error) {
	byParent := make(map[int][]int)
	for _, pid := range fs.pids() {
		if s, err := fs.stat(pid); err == nil {
			byParent[s.parent] = append(byParent[s.parent], pid)
		}
	}
	return func(pid int) ([]int, error) { return byParent[pid], nil }
}
