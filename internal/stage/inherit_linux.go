package stage

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// seal lets the program inherit what the document lists and nothing else, even
// if the master itself was started with stray descriptors.
func (s *stage) seal() error {
	if err := closeOnExecFrom(FirstFD); err != nil {
		return fail("close", "inherited descriptors", err)
	}
	for fd := FirstFD; fd < FirstFD+s.doc.ListenFDs; fd++ {
		if err := keep(fd); err != nil {
			return err
		}
	}
	for _, fd := range s.doc.KeepFDs {
		if err := keep(fd); err != nil {
			return err
		}
	}
	return nil
}

// keep clears FD_CLOEXEC, a flag of this descriptor alone; O_NONBLOCK belongs to
// the open file shared with other processes and is not touched.
func keep(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	return fail("inherit descriptor", strconv.Itoa(fd), err)
}

// closeOnExecFrom sets FD_CLOEXEC on every descriptor from first on.
// CLOSE_RANGE_CLOEXEC came with Linux 5.11.
func closeOnExecFrom(first int) error {
	const last = 1<<32 - 1
	if unix.CloseRange(uint(first), last, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return nil
	}
	return closeOnExecListed(first)
}

func closeOnExecListed(first int) error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= first {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}

// environment is the document's with the LISTEN_ family of sd_listen_fds(3) for
// pid in place of whatever was there.
func (s *stage) environment(pid int) []string {
	env := make([]string, 0, len(s.doc.Env)+3)
	for _, kv := range s.doc.Env {
		if !listenVariable(kv) {
			env = append(env, kv)
		}
	}
	if s.doc.ListenFDs == 0 {
		return env
	}
	env = append(env, fmt.Sprintf("LISTEN_FDS=%d", s.doc.ListenFDs), fmt.Sprintf("LISTEN_PID=%d", pid))
	if len(s.doc.ListenNames) == 0 {
		return env
	}
	return append(env, "LISTEN_FDNAMES="+strings.Join(s.doc.ListenNames, ":"))
}

func listenVariable(kv string) bool {
	name, _, _ := strings.Cut(kv, "=")
	switch name {
	case "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID":
		return true
	}
	return false
}
