package logs

import (
	"errors"
	"os"
	"sync"
	"syscall"
)

const (
	chunkSize = 64 << 10  // read at once
	batchSize = 64 << 10  // collected at most before it is written
	keepBatch = 256 << 10 // of a batch buffer that lines of control characters have made grow
)

// scratch is the memory of a pump at work. A pump that waits for its worker has none.
type scratch struct {
	in  [chunkSize]byte
	out []byte
}

var scratches = sync.Pool{New: func() any { return &scratch{out: make([]byte, 0, batchSize+batchSize/4)} }}

func (s *scratch) release() {
	if cap(s.out) > keepBatch {
		s.out = nil
	}
	scratches.Put(s)
}

// Pump reads a worker's stream from r, cuts it into lines and passes them to sink and tail, which may be nil. A line longer than
// MaxLine goes on in parts, which json marks "continued": true except for the last. Binary and invalid UTF-8 pass through in text;
// json replaces what is not UTF-8.
//
// Lines are written as soon as the pipe is drained; what flows faster is written in batches. Pump waits while the sink's writer
// blocks, and goes on reading when it has failed. It returns nil at EOF, which comes after the last process that holds the write
// end is gone, or the error of the read; os.ErrClosed when somebody closes r to make it end earlier. An unfinished last line is
// passed on in each case. Pump closes r.
func Pump(r *os.File, src Source, sink *Sink, tail *Ring) error {
	defer r.Close()
	conn, err := r.SyscallConn()
	if err != nil {
		return err
	}
	p := &pump{enc: sink.encoder(src), sink: sink, tail: tail}
	p.cut.emit = p.line
	defer p.finish()
	if err := p.run(conn); err != nil {
		return readError(r, err)
	}
	return nil
}

// readError prefers the file's own error: for a closed file that of the raw connection is not os.ErrClosed.
func readError(r *os.File, err error) error {
	if _, own := r.Read(nil); own != nil {
		return own
	}
	return err
}

type pump struct {
	enc  encoder
	sink *Sink
	tail *Ring
	cut  cutter
	mem  *scratch // nil while the pump waits

	n   int // result of the last read
	err error
}

func (p *pump) run(conn syscall.RawConn) error {
	read := p.read
	for {
		if err := conn.Read(read); err != nil {
			return err
		}
		switch {
		case errors.Is(p.err, syscall.EAGAIN):
			p.flush()
		case p.err != nil:
			return os.NewSyscallError("read", p.err)
		case p.n == 0:
			return nil
		default:
			p.enc.at(p.sink.now())
			p.cut.feed(p.mem.in[:p.n])
			if p.n < chunkSize { // the pipe is drained
				p.flush()
			}
		}
	}
}

// read is called by the netpoller's RawConn. It returns false to wait until there is something to read.
func (p *pump) read(fd uintptr) bool {
	mem := p.memory()
	p.n, p.err = readRetry(int(fd), mem.in[:])
	if !errors.Is(p.err, syscall.EAGAIN) || len(mem.out) > 0 {
		return true
	}
	p.mem = nil
	mem.release()
	return false
}

func readRetry(fd int, b []byte) (n int, err error) {
	for {
		if n, err = syscall.Read(fd, b); !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

func (p *pump) memory() *scratch {
	if p.mem == nil {
		p.mem = scratches.Get().(*scratch)
	}
	return p.mem
}

// line takes one line from the cutter.
func (p *pump) line(line []byte, continued bool) {
	mem := p.memory()
	mem.out = p.enc.appendLine(mem.out, line, continued)
	p.tail.add(line)
	if len(mem.out) >= batchSize {
		p.flush()
	}
}

// flush writes the batch. The sink reports a failure; here there is nothing to do about it.
func (p *pump) flush() {
	if len(p.mem.out) == 0 {
		return
	}
	_, _ = p.sink.Write(p.mem.out)
	p.mem.out = p.mem.out[:0]
}

// finish passes on what is left after the last read.
func (p *pump) finish() {
	p.cut.end()
	if p.mem == nil {
		return
	}
	p.flush()
	p.mem.release()
}
