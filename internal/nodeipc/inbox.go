package nodeipc

import (
	"bytes"

	"golang.org/x/sys/unix"
)

const (
	minRead    = 2 << 10  // room for a read, at least
	keepBuffer = 64 << 10 // a larger buffer is dropped when it is empty
	maxFDs     = 64       // descriptors received before their records are complete
)

// missing stands in the queue of descriptors for one that the kernel dropped, so that the ones after it stay with their records.
const missing = -1

// inbox splits what arrives into records, and queues descriptors until their records are complete: the kernel delivers a descriptor with
// the last record of a read, and always in the order of the NODE_HANDLE records.
type inbox struct {
	base    []byte // what buf is a part of
	buf     []byte
	scanned int // bytes at the front of buf without a newline
	fds     []int
	max     int // bytes of a record
}

// record removes the first complete record, without its newline. It is valid until the next call of room.
func (b *inbox) record() ([]byte, bool, error) {
	i := bytes.IndexByte(b.buf[b.scanned:], '\n')
	if i < 0 {
		b.scanned = len(b.buf)
		return nil, false, b.tooLong(b.scanned)
	}
	end := b.scanned + i
	record := b.buf[:end]
	if err := b.tooLong(end); err != nil {
		return nil, false, err
	}
	b.buf, b.scanned = b.buf[end+1:], 0
	return record, true, nil
}

func (b *inbox) tooLong(n int) error {
	if n > b.max {
		return violation("record is too long", b.buf)
	}
	return nil
}

// room returns where the next bytes go.
func (b *inbox) room() []byte {
	if len(b.buf) == 0 {
		b.rewind()
	}
	if cap(b.buf)-len(b.buf) < minRead {
		b.base = make([]byte, 0, max(2*len(b.buf), 2*minRead))
		b.buf = append(b.base, b.buf...)
	}
	return b.buf[len(b.buf):cap(b.buf)]
}

// rewind starts again at the front of an empty buffer.
func (b *inbox) rewind() {
	if cap(b.base) > keepBuffer {
		b.base = nil
	}
	b.buf = b.base[:0]
}

// arrived takes in n bytes that were read into room, and the descriptors that came with them.
func (b *inbox) arrived(n int, fds []int) error {
	b.buf = b.buf[:len(b.buf)+n]
	b.fds = append(b.fds, fds...)
	if len(b.fds) > maxFDs {
		return violation("descriptors came without their records", b.buf)
	}
	return nil
}

// handle removes the descriptor of the NODE_HANDLE record that is complete now.
func (b *inbox) handle() (fd int, ok bool) {
	if len(b.fds) == 0 {
		return missing, false
	}
	fd = pop(&b.fds)
	return fd, fd != missing
}

func (b *inbox) release() {
	for _, fd := range b.fds {
		if fd != missing {
			unix.Close(fd)
		}
	}
	b.fds, b.base, b.buf, b.scanned = nil, nil, nil, 0
}

// rights returns the descriptors in a control message, each closing on exec. With truncated the kernel had to drop some.
func rights(control []byte, truncated bool) []int {
	var fds []int
	messages, err := unix.ParseSocketControlMessage(control)
	for i := range messages {
		got, wrong := unix.ParseUnixRights(&messages[i])
		if wrong == nil {
			fds = append(fds, got...)
		}
	}
	closeOnExec(fds)
	if truncated || err != nil {
		fds = append(fds, missing)
	}
	return fds
}
