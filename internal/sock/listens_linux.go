package sock

import (
	"slices"
	"strconv"
	"strings"
)

// Listens tells whether one of the processes holds a listening TCP or unix socket other than those with these inodes, whoever opened it.
// What cannot be read does not count.
func Listens(pids []int, other []uint64) (bool, error) {
	own := map[uint64]bool{}
	for _, pid := range pids {
		for _, link := range links(pid) {
			if inode, ok := socketInode(link); ok && !slices.Contains(other, inode) {
				own[inode] = true
			}
		}
	}
	if len(own) == 0 {
		return false, nil
	}
	return slices.ContainsFunc([]string{"tcp", "tcp6", "unix"}, func(table string) bool { return listed(table, own) }), nil
}

// listed tells whether a table of /proc/net shows one of the sockets listening.
func listed(table string, own map[uint64]bool) (found bool) {
	scan("/proc/net/"+table, func(line string) {
		inode, ok := listeningInode(table, strings.Fields(line))
		found = found || ok && own[inode]
	})
	return found
}

func listeningInode(table string, fields []string) (uint64, bool) {
	state, want, inode := 3, stateListen, 9
	if table == "unix" {
		want, inode = "00010000", 6
	}
	if len(fields) <= inode || fields[state] != want {
		return 0, false
	}
	n, err := strconv.ParseUint(fields[inode], 10, 64)
	return n, err == nil
}
