package sock

import (
	"encoding/binary"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// eventpoll is what a descriptor of epoll leads to under /proc/PID/fd.
const eventpoll = "anon_inode:[eventpoll]"

// maxWatched limits how many descriptors of one poll or select call are read from a foreign process.
const maxWatched = 1 << 16

// Waiting tells whether one of the processes waits for connections on the socket with this inode, as the kernel shows it: the process
// holds the socket, and has it in an epoll set, or a thread of it sits in accept, poll or select (or a receive call, for UDP) on it.
// So a silent program can be seen to serve without a connection being spent on it. What may not be read, or is gone, counts as not waiting;
// io_uring is not seen.
func Waiting(inode uint64, pids []int) (bool, error) {
	for _, pid := range pids {
		if waits(pid, inode) {
			return true, nil
		}
	}
	return false, nil
}

// Visible tells whether Waiting can see what the process holds and does: the kernel hides it from who may not trace the process, as one with
// more capabilities, or any where Yama forbids it.
func Visible(pid int) bool {
	_, err := os.ReadDir(procPath(pid, "fd"))
	_, err2 := os.ReadFile(procPath(pid, "syscall"))
	return err == nil && err2 == nil
}

func waits(pid int, inode uint64) bool {
	var epolls []int
	held := map[int]bool{} // the process's descriptors of the socket
	for fd, link := range links(pid) {
		if n, ok := socketInode(link); ok && n == inode {
			held[fd] = true
		}
		if link == eventpoll {
			epolls = append(epolls, fd)
		}
	}
	if len(held) == 0 {
		return false
	}
	for _, fd := range epolls {
		if watches(pid, fd, inode) {
			return true
		}
	}
	return blocks(pid, held)
}

// watches tells whether an epoll set asks for what can be read from the socket. The lines are (proc_pid_fdinfo(5))
//
//	tfd:        4 events:       19 data:                4  pos:0 ino:1d5f3 sdev:8
//
// with events and ino in hexadecimal. The inode counts rather than tfd, whose number may be closed or taken by another file.
func watches(pid, epoll int, inode uint64) bool {
	info, err := os.ReadFile(procPath(pid, "fdinfo", strconv.Itoa(epoll)))
	if err != nil {
		return false
	}
	want := "ino:" + strconv.FormatUint(inode, 16)
	for line := range strings.Lines(string(info)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[0] != "tfd:" || !slices.Contains(fields, want) {
			continue
		}
		if events, err := strconv.ParseUint(fields[3], 16, 32); err == nil && events&unix.EPOLLIN != 0 {
			return true
		}
	}
	return false
}

// blocks tells whether a thread of the process sits in a system call that ends when one of the descriptors can be read.
func blocks(pid int, held map[int]bool) bool {
	entries, err := os.ReadDir(procPath(pid, "task"))
	if err != nil {
		return false
	}
	for _, e := range entries {
		text, err := os.ReadFile(procPath(pid, "task", e.Name(), "syscall"))
		if err != nil {
			continue
		}
		if nr, args, ok := parseSyscall(string(text)); ok && awaits(pid, nr, args, held) {
			return true
		}
	}
	return false
}

// parseSyscall reads "232 0x4 0x7ffc… … sp pc": the number in decimal, six arguments in hexadecimal. It is false for a running thread.
func parseSyscall(text string) (nr int, args [6]uint64, ok bool) {
	fields := strings.Fields(text)
	if len(fields) < 7 {
		return 0, args, false
	}
	nr, err := strconv.Atoi(fields[0])
	if err != nil {
		return 0, args, false
	}
	for i := range args {
		if args[i], err = strconv.ParseUint(fields[i+1], 0, 64); err != nil {
			return 0, args, false
		}
	}
	return nr, args, true
}

// waitKind is the way in which a system call names the descriptors that it waits for.
type waitKind int

const (
	waitFD     waitKind = iota + 1 // the first argument is the descriptor
	waitPoll                       // struct pollfd *fds, nfds
	waitSelect                     // nfds, fd_set *readfds
)

func awaits(pid, nr int, args [6]uint64, held map[int]bool) bool {
	switch waitCalls[nr] {
	case waitFD:
		return held[int(int32(args[0]))]
	case waitPoll:
		return polls(readMemory(pid, args[0], args[1], 8), held)
	case waitSelect:
		words := (uint64(uint32(args[0])) + 63) / 64
		return selects(readMemory(pid, args[1], words, 8), held)
	}
	return false
}

// polls looks through an array of struct pollfd { int fd; short events, revents; }.
func polls(b []byte, held map[int]bool) bool {
	for ; len(b) >= 8; b = b[8:] {
		fd := int(int32(binary.NativeEndian.Uint32(b)))
		if held[fd] && binary.NativeEndian.Uint16(b[4:])&unix.POLLIN != 0 {
			return true
		}
	}
	return false
}

// selects looks through an fd_set, an array of words of 64 bits.
func selects(b []byte, held map[int]bool) bool {
	for fd := range held {
		if word := fd / 64 * 8; word+8 <= len(b) && binary.NativeEndian.Uint64(b[word:])>>(fd%64)&1 != 0 {
			return true
		}
	}
	return false
}

// readMemory reads count elements from a foreign process; nil where that is not allowed.
func readMemory(pid int, addr, count, size uint64) []byte {
	if addr == 0 || count == 0 {
		return nil
	}
	mem, err := os.Open(procPath(pid, "mem"))
	if err != nil {
		return nil
	}
	defer mem.Close()
	b := make([]byte, min(count, maxWatched)*size)
	n, _ := mem.ReadAt(b, int64(addr))
	return b[:n]
}
