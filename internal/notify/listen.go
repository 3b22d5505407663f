package notify

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// FirstFD is the file descriptor at which inherited ones begin (SD_LISTEN_FDS_START).
	FirstFD = 3
	// DefaultName is the name of an inherited file descriptor that was given none.
	DefaultName = "unknown"

	maxNameLen = 255     // FDNAME_MAX of systemd
	maxListen  = 1 << 16 // more than any manager passes; bounds what a wrong number can make us allocate
)

var errBadName = fmt.Errorf("not a name: longer than %d bytes, or with a colon, a control or a non-ASCII character", maxNameLen)

// ValidName reports whether name may stand in LISTEN_FDNAMES and FDNAME: at most 255 printable ASCII characters, none of them a
// colon. An empty name is valid.
func ValidName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return len(name) <= maxNameLen
}

// ListenEnv returns the variables that tell process pid that it inherits len(names) file descriptors from FirstFD on, in the order
// of names. An empty or invalid name becomes DefaultName. Without names there are no variables. LISTEN_PIDFDID is left out, which
// every receiver takes as "not checked", so a foreign one must not reach the process: see CleanEnv.
func ListenEnv(pid int, names []string) []string {
	if len(names) == 0 {
		return nil
	}
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = DefaultName
		if name != "" && ValidName(name) {
			list[i] = name
		}
	}
	return []string{
		"LISTEN_FDS=" + strconv.Itoa(len(names)),
		"LISTEN_PID=" + strconv.Itoa(pid),
		"LISTEN_FDNAMES=" + strings.Join(list, ":"),
	}
}

// ParseListenEnv returns the names of the file descriptors that process pid inherited, from FirstFD on; an unnamed one has
// DefaultName. It returns none, without an error, when there are none or when they are meant for another process. It does not
// check LISTEN_PIDFDID: see MeantFor. The caller owns the descriptors and must set close-on-exec on them.
func ParseListenEnv(getenv func(string) string, pid int) (names []string, err error) {
	if getenv("LISTEN_FDS") == "" || getenv("LISTEN_PID") == "" {
		return nil, nil
	}
	target, err := strconv.Atoi(getenv("LISTEN_PID"))
	if err != nil {
		return nil, fmt.Errorf("LISTEN_PID=%s: not a number", excerpt(getenv("LISTEN_PID")))
	}
	if target != pid {
		return nil, nil
	}
	n, err := strconv.ParseUint(getenv("LISTEN_FDS"), 10, 31)
	if err != nil || n > maxListen {
		return nil, fmt.Errorf("LISTEN_FDS=%s: not a number up to %d", excerpt(getenv("LISTEN_FDS")), maxListen)
	}
	return listenNames(getenv("LISTEN_FDNAMES"), int(n))
}

// listenNames splits LISTEN_FDNAMES, which is empty or has n names.
func listenNames(list string, n int) ([]string, error) {
	if list == "" {
		list = strings.Repeat(":", max(n-1, 0))
	}
	if n == 0 {
		return nil, nil
	}
	names := strings.Split(list, ":")
	if len(names) != n {
		return nil, fmt.Errorf("LISTEN_FDNAMES has %d names for %d file descriptors", len(names), n)
	}
	for i, name := range names {
		if !ValidName(name) {
			return nil, fmt.Errorf("LISTEN_FDNAMES: %s: %w", excerpt(name), errBadName)
		}
		if name == "" {
			names[i] = DefaultName
		}
	}
	return names, nil
}

// MeantFor reports whether LISTEN_PIDFDID, if a newer systemd has set it, names the process whose pidfd has the inode number id
// (see PIDFDID). It tells the process that was meant from a later one with the same pid. An id of 0, of a kernel that cannot
// tell, is taken for the right one, as libsystemd does.
func MeantFor(getenv func(string) string, id uint64) (bool, error) {
	value := getenv("LISTEN_PIDFDID")
	if value == "" || id == 0 {
		return true, nil
	}
	want, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return false, errors.New("LISTEN_PIDFDID=" + excerpt(value) + ": not a number")
	}
	return want == id, nil
}
