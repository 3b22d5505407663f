package sock

import (
	"errors"

	"golang.org/x/sys/unix"
)

// slotsWork is true because Linux spreads connections over a group of SO_REUSEPORT sockets.
const slotsWork = true

// queue reads TCP_INFO, which on a listening socket reports the accept queue as unacked and its limit as sacked (tcp_get_info).
func (s *Socket) queue() (Queue, error) {
	switch {
	case s.fd < 0:
		return Queue{}, ErrClosed
	case s.listener.Network == "unix":
		return s.unixQueue()
	case isUDP(s.listener.Network):
		return Queue{}, errors.ErrUnsupported
	}
	info, err := unix.GetsockoptTCPInfo(s.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return Queue{}, err
	}
	return Queue{Len: int(info.Unacked), Max: int(info.Sacked)}, nil
}

func (s *Socket) unixQueue() (Queue, error) {
	inode, err := s.Inode()
	if err != nil {
		return Queue{}, err
	}
	return diagQueue(inode)
}
