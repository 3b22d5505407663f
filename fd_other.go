//go:build !unix

package muster

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

type socketKind int

const (
	notSocket socketKind = iota
	streamSocket
	listeningSocket
	packetSocket
)

var errAddrInUse = errors.New("address already in use")

func closeFD(int)                                {}
func closeOnExec(int)                            {}
func receivedFDs([]byte) []int                   { return nil }
func kindOf(int) socketKind                      { return notSocket }
func startListening(int) error                   { return errors.ErrUnsupported }
func dataPending(syscall.Conn) bool              { return false }
func errnoError(n int) error                     { return fmt.Errorf("bind: errno %d", n) }
func fileListener(int) (acceptor, error)         { return nil, errors.ErrUnsupported }
func fileConn(int) (net.Conn, error)             { return nil, errors.ErrUnsupported }
func filePacketConn(int) (net.PacketConn, error) { return nil, errors.ErrUnsupported }
func boundTo(int) (net.Addr, error)              { return nil, errors.ErrUnsupported }
