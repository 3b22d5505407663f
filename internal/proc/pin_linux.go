package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Pin moves every thread of a process to these CPUs. Threads that they start follow.
func Pin(pid int, cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	pinned := map[int]bool{}
	for again := true; again; {
		again = false
		tasks, err := os.ReadDir(system.path(pid, "task"))
		if err != nil {
			return fmt.Errorf("pin process %d: %w", pid, err)
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil || pinned[tid] {
				continue
			}
			if err := unix.SchedSetaffinity(tid, &set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("pin process %d: %w", pid, err)
			}
			pinned[tid], again = true, true
		}
	}
	return nil
}
