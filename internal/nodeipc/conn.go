package nodeipc

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The defaults of Options.
const (
	DefaultMaxRecord  = 16 << 20
	DefaultMaxQueue   = 1 << 20
	DefaultMaxHandles = 16
)

// bufferSize is what Pair asks of the kernel for each end, so that a burst of messages before process.exit is not lost.
const bufferSize = 1 << 20

// Options bounds a channel. The zero value has the defaults.
type Options struct {
	MaxRecord  int   // bytes of a record from the worker; default 16 MiB
	MaxQueue   int   // bytes that wait to be written or acknowledged; a descriptor counts as 4 KiB; default 1 MiB
	MaxHandles int   // handles sent and not acknowledged; later ones wait, and so does what was sent after them; default 16
	FirstSeq   int64 // number of the first record that has one; default 1

	// Adopted says that another process talked on this channel before and left no State. The rest of a record that it read in part is
	// skipped, and so are acknowledgements for what it sent.
	Adopted bool

	// State is what Detach returned for this channel. The Conn owns the descriptors in it. The bounds are not part of it; FirstSeq and Adopted
	// are, and of no account here.
	State *State
}

func (o Options) withDefaults() Options {
	o.MaxRecord = orDefault(o.MaxRecord, DefaultMaxRecord)
	o.MaxQueue = orDefault(o.MaxQueue, DefaultMaxQueue)
	o.MaxHandles = orDefault(o.MaxHandles, DefaultMaxHandles)
	o.FirstSeq = orDefault(o.FirstSeq, 1)
	return o
}

func (o Options) release() {
	if o.State != nil {
		o.State.Release()
	}
}

func orDefault[T int | int64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// Conn is the master's end of a channel. Its methods may be called from several goroutines. It must be closed.
type Conn struct {
	file    *os.File
	raw     syscall.RawConn
	out     *outbox
	keys    listeners
	adopted bool
	written chan struct{} // closed by the writer when it has ended

	seqMu sync.Mutex // also keeps records in the order of their numbers
	seq   int64

	inMu  sync.Mutex // held by Receive
	in    inbox
	oob   []byte
	lost  []HandleAck // to be reported before end
	end   error       // what every further Receive returns
	first bool        // no record has come yet
}

// Pair makes a channel: the master's end, and the worker's as a descriptor that closes on exec and is in blocking mode. The caller passes it to the
// program and closes it.
func Pair(opts Options) (*Conn, int, error) {
	ends, err := socketpair()
	if err != nil {
		return nil, -1, fmt.Errorf("make node channel: %w", err)
	}
	raiseBuffers(ends[0], bufferSize)
	raiseBuffers(ends[1], bufferSize)
	c, err := New(ends[0], opts)
	if err != nil {
		unix.Close(ends[1])
		return nil, -1, err
	}
	return c, ends[1], nil
}

// New makes a Conn of the master's end of a channel. It owns fd and the descriptors of opts.State from here on, also when it returns an
// error.
func New(fd int, opts Options) (*Conn, error) {
	c, err := open(fd, opts.withDefaults())
	if err != nil {
		opts.release()
		return nil, err
	}
	if opts.State != nil {
		c.restore(opts.State)
	}
	go c.write()
	return c, nil
}

// open makes the Conn without its writer.
func open(fd int, opts Options) (*Conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open node channel: %w", err)
	}
	file := os.NewFile(uintptr(fd), "node channel")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("open node channel: %w", err)
	}
	return &Conn{
		file: file, raw: raw, out: newOutbox(opts.MaxQueue, opts.MaxHandles), adopted: opts.Adopted, first: true,
		written: make(chan struct{}), seq: opts.FirstSeq, in: inbox{max: opts.MaxRecord}, oob: make([]byte, unix.CmsgSpace(4*maxFDs)),
	}, nil
}

// FD returns the number of the descriptor, which remains the Conn's; -1 after Close.
func (c *Conn) FD() int {
	n := -1
	_ = c.raw.Control(func(fd uintptr) { n = int(fd) }) // fails only when closed
	return n
}

// Close closes the channel, wakes Receive, and closes every descriptor the Conn holds: handles that were not acknowledged, and received
// ones that no event has handed out.
func (c *Conn) Close() error {
	c.stopWriter()
	err := c.file.Close()
	c.inMu.Lock()
	defer c.inMu.Unlock()
	c.finish(ErrClosed)
	c.in.release()
	c.lost = nil
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// stopWriter ends the writer, wherever it waits, and waits for that.
func (c *Conn) stopWriter() {
	c.out.stop()
	_ = c.file.SetWriteDeadline(time.Unix(1, 0)) // fails only when closed, which has ended the writer already
	<-c.written
}

// finish makes err the answer to every further Receive, after the handles that are lost with the channel.
func (c *Conn) finish(err error) {
	c.stopWriter()
	c.lost = append(c.lost, c.out.clear()...)
	if c.end == nil || errors.Is(err, ErrClosed) {
		c.end = err
	}
}
