package sock

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/musterd/muster/internal/app"
)

// maxCommand is the longest command line that an Owner shows, in bytes.
const maxCommand = 80

// WhoListens finds the process that holds the address of l: of several, as a master and its workers, the one that started the others.
// It is best effort, as an unprivileged process does not see the descriptors of other users.
func WhoListens(l app.Listener) Owner {
	inodes := holders(l)
	if len(inodes) == 0 {
		return Owner{}
	}
	parents := map[int]int{}
	for _, pid := range processes() {
		if holdsAny(pid, inodes) {
			parents[pid] = parent(pid)
		}
	}
	return eldest(parents)
}

// eldest picks the process whose parent is not among them.
func eldest(parents map[int]int) Owner {
	var pids []int
	for pid, parent := range parents {
		if _, among := parents[parent]; !among {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		return Owner{}
	}
	pid := slices.Min(pids)
	return Owner{PID: pid, Command: command(pid), Known: true}
}

// firstFreePort is the lowest port that needs no privilege (ip(7)).
func firstFreePort() int {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return 1024
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 1024
	}
	return n
}

func processes() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func procPath(pid int, elem ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(pid)}, elem...)...)
}

func holdsAny(pid int, inodes map[uint64]bool) bool {
	for _, link := range links(pid) {
		if inode, ok := socketInode(link); ok && inodes[inode] {
			return true
		}
	}
	return false
}

// links maps the open descriptors of a process to what they lead to, as "socket:[123]" or "anon_inode:[eventpoll]".
func links(pid int) map[int]string {
	dir := procPath(pid, "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	out := make(map[int]string, len(entries))
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if link, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			out[fd] = link
		}
	}
	return out
}

func socketInode(link string) (uint64, bool) {
	digits, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return 0, false
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 64)
	return inode, err == nil
}

// parent reads the fourth field of /proc/PID/stat; the second may hold spaces and parentheses. 0: unknown.
func parent(pid int) int {
	b, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return 0
	}
	_, rest, _ := cutLast(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// command returns the command line on one line, or the name of the process where it has none.
func command(pid int) string {
	args, _ := os.ReadFile(procPath(pid, "cmdline"))
	name, _ := os.ReadFile(procPath(pid, "comm"))
	text := cmp.Or(oneLine(string(args)), oneLine(string(name)), "a process")
	if len(text) > maxCommand {
		text = strings.ToValidUTF8(text[:maxCommand], "") + "…"
	}
	return text
}

// oneLine replaces the NULs between arguments, and whatever else would move the cursor, by spaces.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s))
}
