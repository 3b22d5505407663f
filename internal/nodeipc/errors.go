package nodeipc

import (
	"errors"
	"fmt"
)

// The reasons for which a send is refused.
var (
	ErrClosed  = errors.New("node channel is closed")
	ErrFull    = errors.New("node channel is full: the worker does not read, or does not acknowledge")
	ErrKey     = errors.New("listener key is in use by the worker")
	ErrHandle  = errors.New("not a socket that Node can take")
	ErrMessage = errors.New("not a message: its cmd begins with NODE_")
)

// recordShown is how many bytes of a bad record an error quotes.
const recordShown = 200

// ProtocolError says that the worker sent something which Node's channel does not allow. The channel is of no more use: close it.
type ProtocolError struct {
	Reason string
	Record string // the beginning of the record, or empty
}

// Error names what came.
func (e *ProtocolError) Error() string {
	if e.Record == "" {
		return "node channel: " + e.Reason
	}
	return fmt.Sprintf("node channel: %s: %q", e.Reason, e.Record)
}

func violation(reason string, record []byte) *ProtocolError {
	return &ProtocolError{Reason: reason, Record: string(record[:min(len(record), recordShown)])}
}
