//go:build !linux

package master

import (
	"errors"
	"net"
)

// peerUID is not known here.
func peerUID(net.Conn) (int, error) { return -1, errors.ErrUnsupported }
