package fdstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"golang.org/x/sys/unix"
)

// Pages is a document in memory that another process can read at any moment, also when this one was killed in the middle of a write: there
// are two memory files that are written in turn, and the younger one that is whole counts.
type Pages struct {
	fds  [2]int
	next uint64 // number of the next writing
	last []byte // as it was written last
}

// header is at the begin of a page: its number, the length of the text and its checksum.
const headerSize = 8 + 8 + 4

// NewPages makes an empty document, whose numbers begin behind after. The caller closes it.
func NewPages(name string, after uint64) (*Pages, error) {
	p := &Pages{fds: [2]int{-1, -1}, next: after + 1}
	for i := range p.fds {
		fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
		if err != nil {
			p.Close()
			return nil, os.NewSyscallError("memfd_create", err)
		}
		p.fds[i] = fd
	}
	return p, nil
}

// FDs are the two memory files; they remain the document's. The writing with an even number is in the first.
func (p *Pages) FDs() [2]int { return p.fds }

// Number is that of the last writing.
func (p *Pages) Number() uint64 { return p.next - 1 }

// Write replaces the document.
func (p *Pages) Write(text []byte) error {
	if string(text) == string(p.last) {
		return nil
	}
	page := make([]byte, headerSize, headerSize+len(text))
	binary.LittleEndian.PutUint64(page, p.next)
	binary.LittleEndian.PutUint64(page[8:], uint64(len(text)))
	page = append(page, text...)
	binary.LittleEndian.PutUint32(page[16:], sum(page))
	fd := p.fds[p.next%2]
	if n, err := unix.Pwrite(fd, page, 0); err != nil || n != len(page) {
		return fmt.Errorf("write the state: %d of %d bytes: %w", n, len(page), err)
	}
	p.next++
	p.last = text
	return nil
}

// Close closes both files.
func (p *Pages) Close() {
	for _, fd := range p.fds {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// sum is over the page without the place of the sum.
func sum(page []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(page[:16]), crc32.IEEETable, page[headerSize:])
}

var errNoPage = errors.New("no page of it is whole")

// ReadPages returns the youngest document among the memory files, and its number. The files stay open.
func ReadPages(fds []int) (text []byte, number uint64, err error) {
	for _, fd := range fds {
		if t, n, ok := readPage(fd); ok && n >= number {
			text, number = t, n
		}
	}
	if text == nil {
		return nil, 0, fmt.Errorf("read the state of the former master: %w", errNoPage)
	}
	return text, number, nil
}

func readPage(fd int) (text []byte, number uint64, ok bool) {
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil || stat.Size < headerSize {
		return nil, 0, false
	}
	page := make([]byte, stat.Size)
	n, err := unix.Pread(fd, page, 0)
	if err != nil || n < headerSize {
		return nil, 0, false
	}
	length := binary.LittleEndian.Uint64(page[8:])
	if length > uint64(n-headerSize) {
		return nil, 0, false
	}
	page = page[:headerSize+int(length)]
	if sum(page) != binary.LittleEndian.Uint32(page[16:]) {
		return nil, 0, false
	}
	return page[headerSize:], binary.LittleEndian.Uint64(page), true
}
