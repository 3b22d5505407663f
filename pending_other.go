//go:build !linux

package muster

import "net"

// connectionPending cannot tell on this system.
func connectionPending(net.Listener) bool { return false }
