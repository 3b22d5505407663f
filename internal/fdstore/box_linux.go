package fdstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Box keeps named descriptors in the queue of a socket: they live for as long as any process has the socket open, also one that knows nothing
// of it. A process that takes the socket over finds them there; looking takes nothing out.
//
//	near ──── generation 1: names + fds │ generation 2: names + fds ───► far
//	  ▲                                                            │
//	  └── is one of those fds, so that who has far can go on ◄─────┘
//
// The youngest generation that is whole counts. So nothing is lost if its owner is killed in the middle of a [Box.Set].
type Box struct {
	near, far int
	gen       uint64
}

// letter is what is written on one message of a box.
type letter struct {
	Gen   uint64   `json:"gen"`
	Part  int      `json:"part"`
	Parts int      `json:"parts"`
	Names []string `json:"names"` // of the descriptors that come with it
}

const (
	mostInLetter = 253     // SCM_MAX_FD of the kernel
	letterSize   = 1 << 16 // bounds the text of a letter: names have at most 255 bytes
	nameNear     = ""      // of the sending end among the content
)

// NewBox makes an empty box. The caller closes it.
func NewBox() (*Box, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	return &Box{near: fds[0], far: fds[1]}, nil
}

// Seal makes a box whose content never changes and returns its descriptor, which closes on exec. The descriptors of kept remain the caller's.
func Seal(kept []Kept) (int, error) {
	b, err := NewBox()
	if err != nil {
		return -1, err
	}
	err = b.put(kept)
	_ = unix.Close(b.near)
	if err != nil {
		_ = unix.Close(b.far)
		return -1, err
	}
	return b.far, nil
}

// OpenBox returns what is in the box of that descriptor, which it takes over, and the box; see [Unseal] for one that cannot be changed. The
// descriptors in kept are the caller's.
func OpenBox(far int) (b *Box, kept []Kept, err error) {
	b = &Box{near: -1, far: far}
	all, gen, err := look(far)
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	b.gen = gen
	for _, k := range all {
		if k.Name == nameNear {
			b.near = k.FD
		} else {
			kept = append(kept, k)
		}
	}
	if b.near < 0 {
		b.Close()
		closeKept(kept)
		return nil, nil, errNoNear
	}
	return b, kept, nil
}

var errNoNear = errors.New("open a box of descriptors: it was sealed")

// Unseal returns what is in a box that [Seal] has made. The box stays the caller's, as do the descriptors in kept.
func Unseal(far int) (kept []Kept, err error) {
	kept, _, err = look(far)
	return kept, err
}

// FD is what others need to hold the box; it remains the box's.
func (b *Box) FD() int { return b.far }

// FDs are both ends, for a process that goes on with the box after an execve.
func (b *Box) FDs() [2]int { return [2]int{b.near, b.far} }

// ResumeBox goes on with the box of those ends.
func ResumeBox(fds [2]int) (*Box, error) {
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	all, gen, err := look(fds[1])
	closeKept(all)
	if err != nil {
		return nil, err
	}
	return &Box{near: fds[0], far: fds[1], gen: gen}, nil
}

// Close closes this process's ends. The box lives on where others have it open.
func (b *Box) Close() {
	for _, fd := range []int{b.near, b.far} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// Set replaces the content. The descriptors remain the caller's.
func (b *Box) Set(kept []Kept) error {
	if err := b.put(append([]Kept{{nameNear, b.near}}, kept...)); err != nil {
		return err
	}
	return b.drop(b.gen)
}

// put adds a generation.
func (b *Box) put(kept []Kept) error {
	b.gen++
	parts := max(1, (len(kept)+mostInLetter-1)/mostInLetter)
	for part := range parts {
		some := kept[part*mostInLetter : min(len(kept), (part+1)*mostInLetter)]
		l := letter{Gen: b.gen, Part: part, Parts: parts}
		fds := make([]int, len(some))
		for i, k := range some {
			l.Names, fds[i] = append(l.Names, k.Name), k.FD
		}
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		if err := retry(func() error { return unix.Sendmsg(b.near, text, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL) }); err != nil {
			return fmt.Errorf("put descriptors into a box: %w", err)
		}
	}
	return nil
}

// drop takes out what is older than a generation.
func (b *Box) drop(before uint64) error {
	for {
		if err := rewind(b.far); err != nil {
			return err
		}
		l, kept, err := receive(b.far, unix.MSG_PEEK)
		closeKept(kept)
		if err != nil || l == nil || l.Gen >= before {
			return err
		}
		_, kept, err = receive(b.far, 0)
		closeKept(kept)
		if err != nil {
			return err
		}
	}
}

// look returns copies of the youngest generation that is whole.
func look(far int) (content []Kept, gen uint64, err error) {
	if err := rewind(far); err != nil {
		return nil, 0, err
	}
	var now []Kept // of the generation that is being read
	for {
		l, kept, err := receive(far, unix.MSG_PEEK)
		if err != nil || l == nil {
			closeKept(now)
			if err == nil && gen == 0 {
				err = errEmpty
			}
			if err != nil {
				closeKept(content)
				return nil, 0, err
			}
			return content, gen, nil
		}
		if l.Part == 0 {
			closeKept(now)
			now = nil
		}
		now = append(now, kept...)
		if l.Part == l.Parts-1 {
			closeKept(content)
			content, gen, now = now, l.Gen, nil
		}
	}
}

var errEmpty = errors.New("open a box of descriptors: it is empty")

// rewind begins to look at the first letter.
func rewind(far int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(far, unix.SOL_SOCKET, unix.SO_PEEK_OFF, 0))
}

// receive reads the next letter, or only looks at it; nil behind the last.
func receive(far, flags int) (*letter, []Kept, error) {
	text := make([]byte, letterSize)
	rights := make([]byte, unix.CmsgSpace(4*mostInLetter))
	var n, rn, got int
	err := retry(func() (err error) {
		n, rn, got, _, err = unix.Recvmsg(far, text, rights, flags|unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		return err
	})
	if errors.Is(err, unix.EAGAIN) || err == nil && n == 0 {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, os.NewSyscallError("recvmsg", err)
	}
	fds := descriptors(rights[:rn])
	l := &letter{}
	err = json.Unmarshal(text[:n], l)
	if err == nil && (got&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || len(fds) != len(l.Names)) {
		err = errTorn
	}
	if err != nil {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		return nil, nil, fmt.Errorf("open a box of descriptors: %w", err)
	}
	kept := make([]Kept, len(fds))
	for i, fd := range fds {
		kept[i] = Kept{l.Names[i], fd}
	}
	return l, kept, nil
}

var errTorn = errors.New("a part of it does not fit into this process")

func descriptors(rights []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if some, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, some...)
		}
	}
	return fds
}

func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func closeKept(kept []Kept) {
	for _, k := range kept {
		_ = unix.Close(k.FD)
	}
}
