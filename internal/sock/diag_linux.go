package sock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// The parts of the kernel's sock_diag(7) for unix sockets that x/sys/unix does not name.
const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	diagShowRQLen    = 0x10
	diagRQLen        = 4 // UNIX_DIAG_RQLEN: struct { rqueue, wqueue uint32 }; on a listener its queue and its backlog
	diagMsgLen       = 16
)

// diagRequest is struct nlmsghdr with struct unix_diag_req.
type diagRequest struct {
	Len             uint32
	Type, Flags     uint16
	Seq, PID        uint32
	Family, Proto   uint8
	_               uint16
	States          uint32
	Inode           uint32
	Show            uint32
	Cookie0, Cookie uint32
}

// diagQueue asks the kernel for the queue of the unix socket with this inode.
func diagQueue(inode uint64) (Queue, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return Queue{}, fmt.Errorf("%w: netlink: %v", errors.ErrUnsupported, err)
	}
	defer unix.Close(fd)
	req := diagRequest{
		Type: sockDiagByFamily, Flags: unix.NLM_F_REQUEST, Seq: 1,
		Family: unix.AF_UNIX, States: ^uint32(0), Inode: uint32(inode), Show: diagShowRQLen,
		Cookie0: ^uint32(0), Cookie: ^uint32(0), // any cookie
	}
	req.Len = uint32(binary.Size(req))
	msg, err := binary.Append(nil, binary.NativeEndian, req)
	if err != nil {
		return Queue{}, err
	}
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return Queue{}, err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return Queue{}, err
	}
	return parseDiag(buf[:n])
}

// parseDiag reads one answer: a header, struct unix_diag_msg, and attributes.
func parseDiag(b []byte) (Queue, error) {
	if len(b) < unix.NLMSG_HDRLEN+4 {
		return Queue{}, io.ErrUnexpectedEOF
	}
	if typ := binary.NativeEndian.Uint16(b[4:]); typ == unix.NLMSG_ERROR {
		errno := unix.Errno(-int32(binary.NativeEndian.Uint32(b[unix.NLMSG_HDRLEN:])))
		if errno == unix.ENOENT { // the kernel was built without unix_diag
			return Queue{}, errors.ErrUnsupported
		}
		return Queue{}, errno
	}
	if len(b) < unix.NLMSG_HDRLEN+diagMsgLen {
		return Queue{}, io.ErrUnexpectedEOF
	}
	for attrs := b[unix.NLMSG_HDRLEN+diagMsgLen:]; len(attrs) >= unix.SizeofRtAttr; {
		size := int(binary.NativeEndian.Uint16(attrs))
		typ := binary.NativeEndian.Uint16(attrs[2:])
		if size < unix.SizeofRtAttr || size > len(attrs) {
			break
		}
		if body := attrs[unix.SizeofRtAttr:size]; typ == diagRQLen && len(body) >= 8 {
			return Queue{
				Len: int(binary.NativeEndian.Uint32(body)),
				Max: int(binary.NativeEndian.Uint32(body[4:])),
			}, nil
		}
		attrs = attrs[min((size+3)&^3, len(attrs)):]
	}
	return Queue{}, errors.ErrUnsupported
}
