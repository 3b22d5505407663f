package notify

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Detach ends the Socket without ending the socket: a Receive under way fails, messages wait. The caller owns the descriptor, which is
// close-on-exec; Adopt goes on with it, in this process or after an execve.
func (s *Socket) Detach() (fd int, err error) {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("detach notify socket: %w", err)
	}
	ctlErr := raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 0) })
	if ctlErr != nil {
		err = ctlErr
	}
	if err != nil {
		return -1, fmt.Errorf("detach notify socket: %w", err)
	}
	return fd, s.conn.Close()
}

// Adopt goes on with a detached socket at its path. It owns fd, also on error.
func Adopt(fd int, path string) (*Socket, error) {
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return nil, fmt.Errorf("adopt notify socket: %w", err)
	}
	return &Socket{conn: conn.(*net.UnixConn), path: path, control: make([]byte, controlSize)}, nil
}

// FD returns the number of the descriptor, which remains the Socket's; -1 after Close.
func (s *Socket) FD() int {
	n := -1
	if raw, err := s.conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { n = int(fd) }) // fails only when closed
	}
	return n
}
