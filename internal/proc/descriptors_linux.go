package proc

import "os"

// Descriptors is how many descriptors these processes have open. One that has
// ended, or that belongs to somebody else, counts nothing.
func Descriptors(pids []int) int64 {
	var n int64
	for _, pid := range pids {
		n += system.descriptors(pid)
	}
	return n
}

// descriptors asks for the size of the folder, which is their number since
// Linux 6.2. Before that it is 0, and they have to be counted.
func (fs procFS) descriptors(pid int) int64 {
	folder := fs.path(pid, "fd")
	info, err := os.Stat(folder)
	if err != nil {
		return 0
	}
	if info.Size() > 0 {
		return info.Size()
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return 0
	}
	return int64(len(entries))
}
