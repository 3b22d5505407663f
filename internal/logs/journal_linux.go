package logs

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// journalVariable tells the device and inode of the stream that goes to the journal, since others may have taken its place.
const journalVariable = "JOURNAL_STREAM"

// IsJournal tells whether what is written to f goes to the journal of systemd, which knows the time and takes priorities.
func IsJournal(f *os.File) bool {
	device, inode, ok := strings.Cut(os.Getenv(journalVariable), ":")
	if !ok || f == nil {
		return false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var stat unix.Stat_t
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.Fstat(int(fd), &stat) })
	return err == nil && failed == nil &&
		device == strconv.FormatUint(stat.Dev, 10) && inode == strconv.FormatUint(stat.Ino, 10)
}
