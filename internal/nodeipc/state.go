package nodeipc

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// State is the unfinished business of a channel, for the process image that goes on with it after an exec. It serialises as JSON. The
// descriptors in it are numbers, which stay valid across an exec if they do not close on it.
type State struct {
	Seq     int64            `json:"seq"`                // of the next record
	In      []byte           `json:"in,omitempty"`       // bytes read and not yet taken as records
	InFDs   []int            `json:"in_fds,omitempty"`   // descriptors read; -1 for one that the kernel dropped
	Owed    []bool           `json:"owed,omitempty"`     // acknowledgements to give: true for a handle that arrived
	Partial *Unsent          `json:"partial,omitempty"`  // a record that is written in part
	Unacked []Unsent         `json:"unacked,omitempty"`  // handles without acknowledgement, without Partial
	Retry   []Unsent         `json:"retry,omitempty"`    // handles that the worker refused
	Queue   []Unsent         `json:"queue,omitempty"`    // records not written yet
	Keys    map[string]Query `json:"keys,omitempty"`     // the listeners the worker uses
	Adopted bool             `json:"adopted,omitempty"`  // Options.Adopted
	Partway bool             `json:"part_way,omitempty"` // a record has come already
}

// Unsent is a record for the worker in a State.
type Unsent struct {
	Data    []byte    `json:"data"`
	Written int       `json:"written,omitempty"` // bytes of Data
	FD      int       `json:"fd"`                // -1: none
	Ref     HandleAck `json:"ref"`
	Tries   int       `json:"tries,omitempty"`
}

// FDs lists the descriptors that must live through the exec, besides the channel's own.
func (s *State) FDs() []int {
	fds := slices.Clone(s.InFDs)
	for _, u := range s.unsent() {
		fds = append(fds, u.FD)
	}
	return slices.DeleteFunc(fds, func(fd int) bool { return fd < 0 })
}

// Release closes the descriptors of a State that no New will take over.
func (s *State) Release() {
	for _, fd := range s.FDs() {
		unix.Close(fd)
	}
}

func (s *State) unsent() []Unsent {
	all := slices.Concat(s.Unacked, s.Retry, s.Queue)
	if s.Partial != nil {
		all = append(all, *s.Partial)
	}
	return all
}

// Detach ends the Conn without ending the channel. The caller owns the channel's descriptor and those in the State; all close on exec until told
// otherwise. New goes on with both, in this process or after an exec. At the end of the channel there is nothing to go on with: then it returns
// ErrClosed or what Receive returns.
func (c *Conn) Detach() (int, *State, error) {
	_ = c.file.SetReadDeadline(time.Unix(1, 0)) // wakes Receive; fails only when closed
	c.inMu.Lock()
	defer c.inMu.Unlock()
	c.stopWriter()
	if c.end != nil {
		return -1, nil, c.end
	}
	fd, err := c.duplicate()
	if err != nil {
		return -1, nil, fmt.Errorf("detach node channel: %w", err)
	}
	state := c.state()
	c.end = ErrClosed
	c.file.Close()
	return fd, state, nil
}

func (c *Conn) duplicate() (fd int, err error) {
	bad := c.raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 0) })
	if bad != nil {
		return -1, ErrClosed
	}
	return fd, err
}

// state moves everything out of c, whose writer and reader have ended.
func (c *Conn) state() *State {
	c.seqMu.Lock()
	defer c.seqMu.Unlock()
	s := &State{Seq: c.seq, In: slices.Clone(c.in.buf), InFDs: c.in.fds, Keys: c.keys.all(), Adopted: c.adopted, Partway: !c.first}
	c.in.fds = nil
	c.out.save(s)
	return s
}

// restore is the reverse of state, on a Conn that nobody uses yet.
func (c *Conn) restore(s *State) {
	closeOnExec(s.FDs())
	c.seq, c.adopted, c.first = s.Seq, s.Adopted, !s.Partway
	c.in.buf, c.in.fds = slices.Clone(s.In), slices.Clone(s.InFDs)
	c.keys.byKey = maps.Clone(s.Keys)
	c.out.load(s)
}

// save moves the records out. One that was not begun goes back to the front.
func (o *outbox) save(s *State) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.putBack()
	if f := o.current; f != nil {
		if f.verdict == held {
			f.release()
		}
		u := f.saved()
		s.Partial = &u
		o.unacked = slices.DeleteFunc(o.unacked, func(g *outbound) bool { return g == f })
	}
	s.Owed, s.Unacked, s.Retry, s.Queue = o.owed, saved(o.unacked), saved(o.retry), saved(o.queue)
	o.current, o.owed, o.unacked, o.retry, o.queue = nil, nil, nil, nil, nil
}

// putBack takes the current record from the writer if no byte of it was written.
func (o *outbox) putBack() {
	f := o.current
	if f == nil || f.off > 0 {
		return
	}
	o.current = nil
	if isAcknowledgement(f) {
		o.owed = append([]bool{&f.data[0] == &frameACK[0]}, o.owed...)
		return
	}
	o.unacked = slices.DeleteFunc(o.unacked, func(g *outbound) bool { return g == f })
	o.queue = append([]*outbound{f}, o.queue...)
}

func (o *outbox) load(s *State) {
	o.owed, o.unacked, o.retry, o.queue = slices.Clone(s.Owed), loaded(s.Unacked), loaded(s.Retry), loaded(s.Queue)
	if s.Partial != nil {
		o.current = loaded([]Unsent{*s.Partial})[0]
		if o.current.awaited() {
			o.unacked = append(o.unacked, o.current)
		}
	}
	for _, f := range o.pending() {
		o.bytes += f.charge()
	}
}

func saved(frames []*outbound) []Unsent {
	var all []Unsent
	for _, f := range frames {
		all = append(all, f.saved())
	}
	return all
}

func (f *outbound) saved() Unsent {
	return Unsent{Data: f.data, Written: f.off, FD: f.fd, Ref: f.ref, Tries: f.tries}
}

func loaded(unsent []Unsent) []*outbound {
	var all []*outbound
	for _, u := range unsent {
		all = append(all, &outbound{data: u.Data, off: u.Written, fd: u.FD, ref: u.Ref, tries: u.Tries})
	}
	return all
}
