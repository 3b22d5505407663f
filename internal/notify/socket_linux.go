package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxPath     = 107             // sun_path less its NUL
	sendTimeout = 5 * time.Second // a manager that takes no message for so long is not waited for
)

// controlSize has room for the credentials and the most file descriptors that a datagram can carry.
var controlSize = unix.CmsgSpace(unix.SizeofUcred) + unix.CmsgSpace(MaxFDs*4)

// Socket receives the notifications of one worker. One worker per socket: who sent a message is then known without a look-up by
// pid, which fails for a helper process that sends and exits at once.
//
// What is not received yet waits in the kernel's buffer, which is bounded: a sender that floods blocks (or gets EAGAIN).
type Socket struct {
	conn    *net.UnixConn // closed by Close
	path    string
	payload [MaxSize]byte
	control []byte
}

// Listen binds a datagram socket at a path of the file system, of at most 107 bytes. Only this user may send to it; for a worker
// of another user the caller changes the file's owner. A socket file there that nobody receives on is replaced. The caller closes
// the socket.
func Listen(path string) (*Socket, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("listen on notify socket %s: path longer than %d bytes", path, maxPath)
	}
	conn, err := bind(path)
	if errors.Is(err, unix.EADDRINUSE) && removeStale(path) {
		conn, err = bind(path)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on notify socket: %w", err)
	}
	s := &Socket{conn: conn, path: path, control: make([]byte, controlSize)}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("listen on notify socket: %w", err)
	}
	return s, nil
}

// bind asks for credentials before the socket has its name: the kernel adds them when a message is sent, not when it is read.
func bind(path string) (*net.UnixConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		ctlErr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
		return errors.Join(ctlErr, err)
	}}
	conn, err := lc.ListenPacket(context.Background(), "unixgram", path)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// removeStale removes the socket file that a process left behind when it died.
func removeStale(path string) bool {
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	conn, err := net.Dial("unixgram", path)
	if err == nil {
		_ = conn.Close()
		return false
	}
	return errors.Is(err, unix.ECONNREFUSED) && os.Remove(path) == nil
}

// Path is where senders find the socket: the value of NOTIFY_SOCKET.
func (s *Socket) Path() string { return s.path }

// Close removes the socket file and ends a Receive under way.
func (s *Socket) Close() error {
	return errors.Join(os.Remove(s.path), s.conn.Close())
}

// Receive waits for the next datagram, which the caller closes. An error means that the socket is of no more use: net.ErrClosed
// after Close. What is wrong with a single datagram is said in it. Only one goroutine at a time may receive.
func (s *Socket) Receive() (Datagram, error) {
	n, cn, flags, _, err := s.conn.ReadMsgUnix(s.payload[:], s.control)
	if err != nil {
		return Datagram{}, fmt.Errorf("receive from notify socket: %w", err)
	}
	d := Datagram{}
	d.Err = d.readControl(s.control[:cn])
	if err := truncation(flags); d.Err != nil || err != nil {
		return d.refuse(errors.Join(d.Err, err)), nil
	}
	d.Message, d.Err = Parse(s.payload[:n])
	return d, nil
}

// refuse closes what came with a datagram that cannot be used.
func (d *Datagram) refuse(err error) Datagram {
	_ = d.Close()
	return Datagram{Creds: d.Creds, Err: err}
}

// truncation tells what the kernel cut off: a part of the text, or file descriptors for which this process had no room.
func truncation(flags int) error {
	switch {
	case flags&unix.MSG_CTRUNC != 0:
		return errors.New("datagram refused: not all of its file descriptors arrived")
	case flags&unix.MSG_TRUNC != 0:
		return fmt.Errorf("datagram refused: longer than %d bytes", MaxSize)
	}
	return nil
}

// readControl takes credentials and file descriptors out of the control messages.
func (d *Datagram) readControl(b []byte) error {
	messages, err := unix.ParseSocketControlMessage(b)
	if err != nil {
		return fmt.Errorf("parse control messages: %w", err)
	}
	for i := range messages {
		if err := d.readControlMessage(&messages[i]); err != nil {
			return err
		}
	}
	return nil
}

func (d *Datagram) readControlMessage(m *unix.SocketControlMessage) error {
	if m.Header.Level != unix.SOL_SOCKET {
		return nil
	}
	switch m.Header.Type {
	case unix.SCM_RIGHTS:
		fds, err := unix.ParseUnixRights(m)
		d.FDs = append(d.FDs, fds...)
		return err
	case unix.SCM_CREDENTIALS:
		cred, err := unix.ParseUnixCredentials(m)
		if err == nil {
			d.Creds = Creds{PID: int(cred.Pid), UID: int(cred.Uid), GID: int(cred.Gid)}
		}
		return err
	}
	return nil
}

// Send sends m with copies of fds, which stay the caller's, to the manager above whose NOTIFY_SOCKET is path: "/path" or
// "@abstract". Without a manager, when path is empty, it does nothing. It waits up to 5 s for a manager whose buffer is full.
func Send(path string, m Message, fds ...int) error {
	if path == "" {
		return nil
	}
	if err := send(path, m.Append(nil), fds); err != nil {
		return fmt.Errorf("notify %s: %w", path, err)
	}
	return nil
}

func send(path string, payload []byte, fds []int) error {
	switch {
	case !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "@"):
		return fmt.Errorf("address is neither a path nor abstract: %w", errors.ErrUnsupported)
	case len(payload) == 0:
		return errors.New("message is empty")
	case len(payload) > MaxSize:
		return fmt.Errorf("message of %d bytes is longer than %d", len(payload), MaxSize)
	case len(fds) > MaxFDs:
		return fmt.Errorf("%d file descriptors are more than %d", len(fds), MaxFDs)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		return err
	}
	defer conn.Close()
	return write(conn, payload, fds)
}

// write goes through the raw connection because net.UnixConn passes no descriptors on a connected datagram socket, and only a
// connected one is told when its manager has room again.
func write(conn *net.UnixConn, payload []byte, fds []int) error {
	if err := conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var control []byte
	if len(fds) > 0 {
		control = unix.UnixRights(fds...)
	}
	var sendErr error
	if err := raw.Write(func(fd uintptr) bool {
		sendErr = sendmsg(int(fd), payload, control)
		return !errors.Is(sendErr, unix.EAGAIN)
	}); err != nil {
		return err
	}
	return sendErr
}

func sendmsg(fd int, payload, control []byte) error {
	for {
		if err := unix.Sendmsg(fd, payload, control, nil, unix.MSG_NOSIGNAL); !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}
