package master

import (
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/fdstore"
	"github.com/musterd/muster/internal/rundir"
)

// leftover are the names of what a master gives to its store.
var leftover = regexp.MustCompile(`^(lock|control|box|l\d+\.\d+|m\d+\.(slots|buckets)|w\d+\.(process\..*|channel|notify|stdout|stderr))$`)

// DropLeftovers closes what is left of a master that was killed before it had given its state to the store, and has it forgotten: nobody can go
// on with that. Of the descriptors from first on with these names it leaves those of others, as sockets that a service manager has opened, and all of
// them where there is a state. What is dropped has no name any more.
func DropLeftovers(names []string, first int) {
	if !keepsOn() || HasState(names) {
		return
	}
	store := fdstore.NewClient(os.Getenv("NOTIFY_SOCKET"))
	for i, name := range names {
		if leftover.MatchString(name) && !isAnothers(name, first+i) {
			closeFD(first + i)
			_ = store.Remove(name) // what it does not know it does not keep
			names[i] = ""
		}
	}
}

// isAnothers tells whether what has a plain name of ours is a listening socket of somebody who likes the name as well.
func isAnothers(name string, fd int) bool {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listens == 0 || filepath.Ext(name) != "" {
		return false
	}
	addr, err := unix.Getsockname(fd)
	path, isUnix := addr.(*unix.SockaddrUnix)
	return err != nil || !isUnix || filepath.Base(path.Name) != rundir.SocketName
}
