package proc

import (
	"bytes"
	"os"
	"strconv"
)

// Resident is the memory that these processes have in RAM, in bytes: what they
// share counts for each of them. One that has ended counts nothing. It costs a
// short read per process.
func Resident(pids []int) int64 {
	var room [128]byte
	var pages int64
	for _, pid := range pids {
		data, err := readShort(system.path(pid, "statm"), room[:])
		if fields := bytes.Fields(data); err == nil && len(fields) > 1 {
			n, _ := strconv.ParseInt(string(fields[1]), 10, 64)
			pages += n
		}
	}
	return pages * int64(os.Getpagesize())
}

// Proportional is as Resident, but of a page that n processes share each has an
// n-th. The kernel walks all their pages for it. It is false where that is
// forbidden, or unknown to the kernel (before Linux 4.14).
func Proportional(pids []int) (int64, bool) {
	var total int64
	for _, pid := range pids {
		data, err := os.ReadFile(system.path(pid, "smaps_rollup"))
		if err != nil {
			if os.IsNotExist(err) && !system.exists(pid) {
				continue
			}
			return 0, false
		}
		kilobytes, ok := rollupPss(data)
		if !ok && len(data) > 0 { // a process that has ended has an empty one
			return 0, false
		}
		total += kilobytes << 10
	}
	return total, true
}

func (fs procFS) exists(pid int) bool {
	_, err := os.Stat(fs.path(pid, ""))
	return err == nil
}

// rollupPss reads the line "Pss:    123 kB".
func rollupPss(data []byte) (int64, bool) {
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte("Pss:")); ok {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
