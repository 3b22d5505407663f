package stage

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resources are the names of the limits, as in limits.conf and systemd's Limit*.
var resources = [...]string{
	unix.RLIMIT_CPU:        "cpu",
	unix.RLIMIT_FSIZE:      "fsize",
	unix.RLIMIT_DATA:       "data",
	unix.RLIMIT_STACK:      "stack",
	unix.RLIMIT_CORE:       "core",
	unix.RLIMIT_RSS:        "rss",
	unix.RLIMIT_NPROC:      "nproc",
	unix.RLIMIT_NOFILE:     "nofile",
	unix.RLIMIT_MEMLOCK:    "memlock",
	unix.RLIMIT_AS:         "as",
	unix.RLIMIT_LOCKS:      "locks",
	unix.RLIMIT_SIGPENDING: "sigpending",
	unix.RLIMIT_MSGQUEUE:   "msgqueue",
	unix.RLIMIT_NICE:       "nice",
	unix.RLIMIT_RTPRIO:     "rtprio",
	unix.RLIMIT_RTTIME:     "rttime",
}

// Resource is the RLIMIT_ number of a limit's name, like "nofile".
func Resource(name string) (int, error) {
	for number, known := range resources {
		if known == name {
			return number, nil
		}
	}
	return 0, fmt.Errorf("unknown resource limit %q", name)
}

func resourceName(number int) string {
	if number >= 0 && number < len(resources) {
		return resources[number]
	}
	return strconv.Itoa(number)
}

// schedule sets how much of the machine the program gets.
func (s *stage) schedule() error {
	if err := s.warn("set CPU affinity", fmt.Sprint(s.doc.CPUs), s.affinity()); err != nil {
		return err
	}
	if n := s.doc.Nice; n != nil {
		err := unix.Setpriority(unix.PRIO_PROCESS, 0, *n)
		if err := s.warn("set niceness", strconv.Itoa(*n), err); err != nil {
			return err
		}
	}
	if adj := s.doc.OOMScoreAdj; adj != nil {
		err := writeExisting("/proc/self/oom_score_adj", strconv.Itoa(*adj))
		return s.warn("set oom_score_adj", strconv.Itoa(*adj), err)
	}
	return nil
}

// enter moves this process into control groups. It could have been born there (CLONE_INTO_CGROUP), but then the limits of the program would bind
// the stage, whose threads and memory are more than those of many a program.
func (s *stage) enter() error {
	for _, file := range s.doc.Groups {
		if err := writeExisting(file, "0"); err != nil {
			return fail("enter control group", filepath.Dir(file), err)
		}
	}
	return nil
}

// affinity takes a mask of any length: unix.CPUSet ends at 1024 CPUs.
func (s *stage) affinity() error {
	if len(s.doc.CPUs) == 0 {
		return nil
	}
	const bits = 8 * unsafe.Sizeof(uint(0))
	var mask []uint
	for _, cpu := range s.doc.CPUs {
		word := uintptr(cpu) / bits
		if cpu < 0 || word > 1<<10 {
			return unix.EINVAL
		}
		for uintptr(len(mask)) <= word {
			mask = append(mask, 0)
		}
		mask[word] |= 1 << (uintptr(cpu) % bits)
	}
	size := uintptr(len(mask)) * unsafe.Sizeof(uint(0))
	_, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, 0, size, uintptr(unsafe.Pointer(&mask[0])))
	if errno != 0 {
		return errno
	}
	return nil
}

// writeExisting writes without creating or truncating: /proc files know neither.
func writeExisting(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return firstError(err, f.Close())
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// raise lifts hard limits, as long as that is allowed. It binds nobody. Where it is refused, the limits come as near as they can.
func (s *stage) raise() error {
	for i := range s.doc.Rlimits {
		l := &s.doc.Rlimits[i]
		var now unix.Rlimit
		if err := unix.Getrlimit(l.Resource, &now); err != nil {
			return fail("read limit", resourceName(l.Resource), err)
		}
		if l.Max <= now.Max {
			continue
		}
		err := unix.Setrlimit(l.Resource, &unix.Rlimit{Cur: now.Cur, Max: l.Max})
		if err == nil {
			continue
		}
		err = fmt.Errorf("%w: it is %d, as for muster itself", err, now.Max)
		if err := s.warn("set limit", fmt.Sprintf("%s to %s", resourceName(l.Resource), limitText(l.Max)), err); err != nil {
			return err
		}
		l.Cur, l.Max = min(l.Cur, now.Max), now.Max
	}
	return nil
}

func limitText(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// limit comes right before the execve, because it binds the stage too: with little address space, or no more processes, it could do nothing.
func (s *stage) limit() error {
	for _, l := range s.doc.Rlimits {
		if err := unix.Setrlimit(l.Resource, &unix.Rlimit{Cur: l.Cur, Max: l.Max}); err != nil {
			return fail("set limit", resourceName(l.Resource), err)
		}
	}
	return nil
}
