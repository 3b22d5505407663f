//go:build !linux

package apiserver

import (
	"errors"
	"net"
)

// peerUID is not known here.
func peerUID(net.Conn) (int, error) { return -1, errors.ErrUnsupported }
