package notify

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// PIDFDID returns the inode number of a process's pidfd, which no later process ever has again, or 0 where the kernel has no
// pidfs (before Linux 6.9).
func PIDFDID(pid int) (uint64, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0, fmt.Errorf("open pidfd of %d: %w", pid, err)
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return 0, fmt.Errorf("statfs pidfd of %d: %w", pid, err)
	}
	if fs.Type != unix.PID_FS_MAGIC {
		return 0, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, fmt.Errorf("stat pidfd of %d: %w", pid, err)
	}
	return st.Ino, nil
}
