package proc

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	if hasChildrenFiles() {
		return system.childrenByTask
	}
	byParent := allParents.next()
	return func(pid int) []int { return byParent[pid] }
}

// hasChildrenFiles depends on how the kernel was built, CONFIG_PROC_CHILDREN.
var hasChildrenFiles = sync.OnceValue(func() bool {
	_, err := os.Stat(system.taskPath(os.Getpid(), strconv.Itoa(os.Getpid())))
	return err == nil
})

func (fs procFS) taskPath(pid int, task string) string {
	return fs.path(pid, "task/"+task+"/children")
}

// childrenByTask asks each thread, because each has its own children.
func (fs procFS) childrenByTask(pid int) []int {
	tasks, _ := os.ReadDir(fs.path(pid, "task"))
	var pids []int
	for _, task := range tasks {
		list, _ := os.ReadFile(fs.taskPath(pid, task.Name()))
		for field := range strings.FieldsSeq(string(list)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

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

var allParents = shared[map[int][]int]{look: system.byParent}
