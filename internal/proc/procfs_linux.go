package proc

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// procFS is a proc(5) file system by its mount point.
type procFS string

const system procFS = "/proc"

// stat is the part of /proc/pid/stat we use.
type stat struct {
	parent, session int
	start           uint64 // clock ticks after boot
}

var errBadStat = errors.New("unexpected form of stat")

func (fs procFS) path(pid int, name string) string {
	return filepath.Join(string(fs), strconv.Itoa(pid), name)
}

func (fs procFS) stat(pid int) (stat, error) {
	var room [1 << 10]byte
	data, err := readShort(fs.path(pid, "stat"), room[:])
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(data))
}

// readShort reads a file that /proc gives in one piece, by a third of the system
// calls of os.ReadFile: a scan reads one for every process there is.
func (fs procFS) selfPath(name string) string { return filepath.Join(string(fs), "self", name) }

// CanStart tells whether processes can be started here: the exec stage is this
// very binary, which the kernel shows in /proc.
func CanStart() error {
	_, err := os.Readlink(system.selfPath("exe"))
	return err
}

func readShort(path string, room []byte) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, room)
	if err != nil {
		return nil, err
	}
	return room[:n], nil
}

// parseStat skips the command's name, which may hold blanks and parentheses.
func parseStat(line string) (stat, error) {
	i := strings.LastIndexByte(line, ')')
	if i < 0 {
		return stat{}, errBadStat
	}
	const state, parent, session, start = 0, 1, 3, 19 // fields after the name
	fields := strings.Fields(line[i+1:])
	if len(fields) <= start {
		return stat{}, errBadStat
	}
	var s stat
	var errs [3]error
	s.parent, errs[0] = strconv.Atoi(fields[parent])
	s.session, errs[1] = strconv.Atoi(fields[session])
	s.start, errs[2] = strconv.ParseUint(fields[start], 10, 64)
	return s, errors.Join(errs[:]...)
}

// pids are all processes.
func (fs procFS) pids() []int {
	d, err := os.Open(string(fs))
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Environ is the environment that a process was started with, in its order, unless
// the process has written over it since. There is an error where we may not look.
func Environ(pid int) ([]string, error) {
	data, err := os.ReadFile(system.path(pid, "environ"))
	if err != nil {
		return nil, err
	}
	var env []string
	for entry := range bytes.SplitSeq(data, []byte{0}) {
		if len(entry) > 0 {
			env = append(env, string(entry))
		}
	}
	return env, nil
}

// carries reports whether the environment a process was started with holds
// variable, "NAME=value". It is false where we may not look.
func (fs procFS) carries(pid int, variable string) bool {
	env, err := os.ReadFile(fs.path(pid, "environ"))
	if err != nil {
		return false
	}
	for kv := range bytes.SplitSeq(env, []byte{0}) {
		if string(kv) == variable {
			return true
		}
	}
	return false
}

// born names the boot and the start of a process: a pid alone is soon another's.
func (fs procFS) born(pid int) (string, error) {
	boot, err := os.ReadFile(filepath.Join(string(fs), "sys/kernel/random/boot_id"))
	if err != nil {
		return "", err
	}
	s, err := fs.stat(pid)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(boot)) + ":" + strconv.FormatUint(s.start, 10), nil
}
