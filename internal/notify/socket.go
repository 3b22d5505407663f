package notify

import (
	"errors"
	"syscall"
)

// MaxFDs is how many file descriptors one datagram carries at most (SCM_MAX_FD).
const MaxFDs = 253

// Creds are the sender's credentials as the kernel saw them (SCM_CREDENTIALS). PID is 0 for a sender in a pid namespace that ours
// cannot see.
type Creds struct{ PID, UID, GID int }

// Datagram is one received message with what came beside it. Of its copies only one may be closed.
type Datagram struct {
	Message Message
	Creds   Creds
	// FDs are the passed file descriptors, close-on-exec set. The receiver of the datagram owns them: it takes them out or calls
	// Close.
	FDs []int
	// Err says what was wrong with this datagram: bad values (the good ones are in Message) or, with an empty Message and no FDs,
	// a datagram that could not be used at all. The socket itself is well.
	Err error
}

// Close closes the file descriptors that are still in FDs.
func (d *Datagram) Close() error {
	var errs []error
	for _, fd := range d.FDs {
		errs = append(errs, syscall.Close(fd))
	}
	d.FDs = nil
	return errors.Join(errs...)
}

// AnswerBarrier reports whether the datagram is a well-formed barrier, BARRIER=1 alone with exactly one file descriptor, and if so
// closes that descriptor, which is the answer that its sender waits for: everything sent before has been processed.
func (d *Datagram) AnswerBarrier() bool {
	if !d.Message.Barrier || len(d.FDs) != 1 {
		return false
	}
	_ = d.Close()
	return true
}
