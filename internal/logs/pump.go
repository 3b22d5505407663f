package logs

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	chunkSize = 64 << 10  // read at once
	batchSize = 64 << 10  // collected at most before it is written
	keepBatch = 256 << 10 // of a batch buffer that lines of control characters have made grow
)

// scratch is the memory of a pump at work. A pump that waits for its worker has none.
type scratch struct {
	in   [chunkSize]byte
	out  []byte
	past []byte // the same for a History
}

var scratches = sync.Pool{New: func() any { return &scratch{out: make([]byte, 0, batchSize+batchSize/4)} }}

func (s *scratch) release() {
	if cap(s.out) > keepBatch {
		s.out = nil
	}
	if cap(s.past) > keepBatch {
		s.past = nil
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
func Pump(r *Reader, src Source, sink *Sink, tail *Ring) error {
	p := newPump(src, sink, tail)
	defer p.finish()
	return p.pump(r)
}

// PumpFrom is Pump for a stream that somebody has read before and somebody may read after: it begins with the unfinished line begun, and when r is
// closed to make it end earlier, it returns the unfinished line that it has instead of passing it on.
func PumpFrom(begun []byte, r *Reader, src Source, sink *Sink, tail *Ring) (unfinished []byte, err error) {
	p := newPump(src, sink, tail)
	defer p.finish()
	p.cut.carry = append(p.cut.carry, begun[:min(len(begun), MaxLine)]...)
	err = p.pump(r)
	if errors.Is(err, os.ErrClosed) {
		unfinished, p.cut.carry = p.cut.carry, nil
	}
	return unfinished, err
}

func newPump(src Source, sink *Sink, tail *Ring) *pump {
	p := &pump{enc: sink.encoder(src), sink: sink, tail: tail}
	if sink.history != nil {
		past := newEncoder(src, HistoryOptions, false)
		p.past = &past
	}
	p.cut.emit = p.line
	p.at(sink.now())
	return p
}

// pump reads r to its end, and closes it.
func (p *pump) pump(r *Reader) error {
	defer func() { _ = r.Close() }()
	conn, err := r.SyscallConn()
	if err != nil {
		return err
	}
	p.r, p.conn, p.pace.room, p.most = r, conn, pipeRoom(conn), maxPipe
	return p.run()
}

type pump struct {
	enc  encoder
	sink *Sink
	tail *Ring
	past *encoder // for the sink's history; nil: it has none
	cut  cutter
	mem  *scratch // nil while the pump waits

	n   int // result of the last read
	err error

	r     *Reader
	conn  syscall.RawConn // of r
	most  int             // room that the pipe may have
	round int             // bytes since the pipe was empty
	began time.Time       // when the first of them were read
	pace  pace
	timer *time.Timer

	rested time.Time // when the last pause was over
}

// grow gives a worker that floods more room, since its pump may not get a CPU in time. The kernel may have given this user enough already.
func (p *pump) grow() {
	room := growPipe(p.conn, min(2*p.pace.room, p.most))
	if room <= p.pace.room {
		p.most = p.pace.room
	}
	p.pace.room = room
}

func (p *pump) run() error {
	for {
		if err := p.next(); err != nil {
			return p.r.failure(err)
		}
		switch {
		case errors.Is(p.err, syscall.EAGAIN):
			p.drained()
		case p.err != nil:
			return os.NewSyscallError("read", p.err)
		case p.n == 0:
			return nil
		default:
			p.take(p.mem.in[:p.n])
			if p.n < chunkSize {
				p.drained()
			}
		}
	}
}

// next reads once: in a flood what is there, else when something comes.
func (p *pump) next() error {
	if p.pace.pause > 0 {
		p.n, p.err = p.r.now(p.memory().in[:])
		if errors.Is(p.err, os.ErrClosed) {
			return p.err
		}
		return nil
	}
	conn, err := p.r.poller()
	if err != nil {
		return err
	}
	return conn.Read(p.read)
}

// take cuts what was read into lines.
func (p *pump) take(chunk []byte) {
	now := p.sink.now()
	if p.round == 0 {
		p.began = now
	}
	p.round += len(chunk)
	p.at(now)
	p.cut.feed(chunk)
}

// drained ends a round: the pipe is empty.
func (p *pump) drained() {
	p.flush()
	if p.pace.isFull(p.round) && p.pace.room < p.most {
		p.grow()
	}
	now := p.sink.now()
	waited := now.Sub(p.rested)
	if p.round > 0 {
		waited = p.began.Sub(p.rested)
	}
	if pause := p.pace.after(p.round, waited); pause > 0 {
		p.r.leavePoller()
		p.rest(pause)
	}
	if p.round > 0 {
		p.rested = p.sink.now()
	}
	p.round = 0
}

func (p *pump) rest(d time.Duration) {
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	<-p.timer.C
}

// at sets the time of the lines that follow.
func (p *pump) at(now time.Time) {
	p.enc.at(now)
	if p.past != nil {
		p.past.at(now)
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
	if p.past != nil {
		mem.past = p.past.appendLine(mem.past, line, continued)
	}
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
	_, _ = p.sink.history.Write(p.mem.past)
	_, _ = p.sink.Write(p.mem.out)
	p.mem.out, p.mem.past = p.mem.out[:0], p.mem.past[:0]
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
