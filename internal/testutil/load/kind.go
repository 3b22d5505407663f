package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// Kind is how a request ended.
type Kind int

// The ends of a request. Exactly one applies to each.
const (
	OK        Kind = iota // a complete response with status 2xx or 3xx
	BadStatus             // a complete response with another status
	Refused               // the connection was refused: nobody listens
	Reset                 // reset before the first byte of the response, or the request could not be written
	ResetMid              // reset in the middle of a response
	EOF                   // closed in good order before the first byte of the response
	Truncated             // closed in good order in the middle of a response
	Timeout               // no connection, or no complete response, in time
	Other                 // anything else; see Result.Other
	kinds                 // their number
)

var kindNames = [kinds]string{"ok", "bad status", "refused", "reset", "reset in response", "eof", "truncated", "timeout", "other"}

// String is the Kind in words.
func (k Kind) String() string {
	if k < 0 || k >= kinds {
		return fmt.Sprintf("kind %d", int(k))
	}
	return kindNames[k]
}

// classify names the end of a request that failed with err after it had read begun bytes of the response.
func classify(err error, begun bool) Kind {
	var ne net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return Refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return pick(begun, ResetMid, Reset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return pick(begun, Truncated, EOF)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return Timeout
	}
	return Other
}

func pick(cond bool, yes, no Kind) Kind {
	if cond {
		return yes
	}
	return no
}
