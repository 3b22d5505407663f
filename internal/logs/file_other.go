//go:build !linux

package logs

import (
	"os"
	"syscall"
	"time"
)

// nonblock lets a FIFO without a reader be an error instead of a master that never starts.
const nonblock = syscall.O_NONBLOCK

// birth is not known here: the last change is.
func birth(_ string, info os.FileInfo) time.Time { return info.ModTime() }
