package logs

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// nonblock lets a FIFO without a reader be an error instead of a master that never starts.
const nonblock = unix.O_NONBLOCK

// birth is when the file was made, or, where the file system does not know that, when it was changed last.
func birth(path string, info os.FileInfo) time.Time {
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_BTIME, &stat)
	if err != nil || stat.Mask&unix.STATX_BTIME == 0 {
		return info.ModTime()
	}
	return time.Unix(stat.Btime.Sec, int64(stat.Btime.Nsec))
}
