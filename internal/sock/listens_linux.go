package sock

import "strings"

// Listens tells whether one of the processes holds a listening TCP or unix socket, its own or an inherited one. What may not be read
// counts as not listening.
func Listens(pids []int) (bool, error) {
	held := map[uint64]bool{}
	for _, pid := range pids {
		for _, link := range links(pid) {
			if inode, ok := socketInode(link); ok {
				held[inode] = true
			}
		}
	}
	if len(held) == 0 {
		return false, nil
	}
	return holdsListener("tcp", held) || holdsListener("tcp6", held) || holdsListener("unix", held), nil
}

func holdsListener(table string, held map[uint64]bool) (found bool) {
	listening := inetListener
	if table == "unix" {
		listening = unixListener
	}
	scan("/proc/net/"+table, func(line string) {
		if inode, ok := listening(strings.Fields(line)); ok && held[inode] {
			found = true
		}
	})
	return found
}
