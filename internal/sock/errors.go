package sock

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
)

// Owner is the process that holds an address.
type Owner struct {
	PID     int
	Command string // one line, shortened
	Known   bool   // false: no process was found, as for those of other users
}

// InUseError says that another socket has the address. It unwraps to EADDRINUSE.
type InUseError struct {
	Listener app.Listener
	Owner    Owner
}

func (e *InUseError) Error() string {
	msg := fmt.Sprintf("open listener %s: address in use", describe(e.Listener))
	if e.Owner.Known {
		msg += fmt.Sprintf(" by %s (pid %d)", e.Owner.Command, e.Owner.PID)
	}
	return msg
}

// Unwrap returns EADDRINUSE.
func (e *InUseError) Unwrap() error { return unix.EADDRINUSE }

// Hint says what the user can do.
func (e *InUseError) Hint() string {
	switch {
	case e.Owner.Known:
		return fmt.Sprintf("stop process %d or listen elsewhere", e.Owner.PID)
	case e.Listener.Network == "unix":
		return fmt.Sprintf("find the process with: sudo ss -xlp src %s", e.Listener.Path)
	case isUDP(e.Listener.Network):
		return fmt.Sprintf("find the process with: sudo ss -ulnp 'sport = :%d'", e.Listener.Port)
	}
	return fmt.Sprintf("find the process with: sudo ss -tlnp 'sport = :%d'", e.Listener.Port)
}

// PermissionError says that this user may not have the address. It unwraps to the errno, so it is os.ErrPermission.
type PermissionError struct {
	Listener app.Listener
	Errno    syscall.Errno
}

func (e *PermissionError) Error() string {
	return fmt.Sprintf("open listener %s: %v", describe(e.Listener), e.Errno)
}

// Unwrap returns the errno.
func (e *PermissionError) Unwrap() error { return e.Errno }

// Hint says what the user can do.
func (e *PermissionError) Hint() string {
	if e.Listener.Network == "unix" {
		return "choose a path in a directory that you may write to"
	}
	if first := firstFreePort(); e.Listener.Port > 0 && e.Listener.Port < first {
		return fmt.Sprintf("ports below %d need CAP_NET_BIND_SERVICE: choose a higher port, or as root: "+
			"sysctl net.ipv4.ip_unprivileged_port_start=%d", first, e.Listener.Port)
	}
	return "the system forbids this address; look for a firewall, SELinux or a sandbox"
}

// UnavailableError says that this machine does not have the address. It unwraps to EADDRNOTAVAIL.
type UnavailableError struct {
	Listener app.Listener
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("open listener %s: this machine does not have the address", describe(e.Listener))
}

// Unwrap returns EADDRNOTAVAIL.
func (e *UnavailableError) Unwrap() error { return unix.EADDRNOTAVAIL }

// Hint says what the user can do.
func (e *UnavailableError) Hint() string {
	return "`ip addr` lists the addresses of this machine; leave the host out to listen on all of them"
}

// AddressError says that a listener cannot be right on any machine, or that its path leads nowhere or to something that is not a socket.
type AddressError struct {
	Listener app.Listener
	Reason   string
	Err      error // EINVAL, ENAMETOOLONG, ENOTSOCK, ENOENT or ENOTDIR
	hint     string
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("open listener %s: %s", describe(e.Listener), e.Reason)
}

// Unwrap returns the errno.
func (e *AddressError) Unwrap() error { return e.Err }

// Hint says what the user can do; it is empty where Error says it all.
func (e *AddressError) Hint() string { return e.hint }

func invalid(l app.Listener, reason string) *AddressError {
	return &AddressError{Listener: l, Reason: reason, Err: unix.EINVAL}
}

func noDirectory(l app.Listener, errno syscall.Errno) *AddressError {
	dir := filepath.Dir(l.Path)
	return &AddressError{Listener: l, Reason: "there is no directory " + dir, Err: errno, hint: "make it, or name another: mkdir -p " + dir}
}

// failure gives an error of the kernel its type.
func failure(l app.Listener, err error) error {
	var errno syscall.Errno
	switch {
	case !errors.As(err, &errno):
	case errno == unix.EADDRINUSE:
		return &InUseError{Listener: l, Owner: WhoListens(l)}
	case errno == unix.EACCES, errno == unix.EPERM:
		return &PermissionError{Listener: l, Errno: errno}
	case l.Network == "unix" && (errno == unix.ENOENT || errno == unix.ENOTDIR):
		return noDirectory(l, errno)
	case errno == unix.EADDRNOTAVAIL:
		return &UnavailableError{Listener: l}
	}
	return fmt.Errorf("open listener %s: %w", describe(l), err)
}
