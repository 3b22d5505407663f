package cpus

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Available returns the number of CPUs in the affinity mask of this process, or fewer where the CPU quota of its control group or of
// a group above it, version 1 or 2, allows fewer; at least 1. What cannot be read limits nothing.
func Available() int { return limited(os.DirFS("/"), affinity()) }

func affinity() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil || set.Count() == 0 {
		return runtime.NumCPU() // more CPUs than the set has room for; the runtime asked when the process began
	}
	return set.Count()
}

// Allowed are the numbers of the CPUs that this process may run on; none where the kernel does not tell.
func Allowed() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var all []int
	for cpu := range 8 * int(unsafe.Sizeof(set)) {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	return all
}
