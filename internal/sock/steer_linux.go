package sock

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// SteerOptions says how to steer. Its zero value spreads connections by the kernel's hash of both addresses and ports.
type SteerOptions struct {
	Sticky bool // by the source address alone: a client keeps its slot for as long as the table does
}

// ErrSteered is returned by NewSteering for sockets that a predecessor still steered; try again in a moment.
var ErrSteered = errors.New("sockets are still in the map of an earlier steering")

// Steering directs new connections of a group of slot sockets by weight. An eBPF program hashes each connection into one of Buckets
// buckets and looks up the bucket's slot; only that table changes at run time, so no connection is lost and no program is ever replaced under
// traffic by this Steering. Where a slot has no listening socket the kernel's own hash decides; even so, take a slot's weight away before
// its socket is closed, because a process that is being forked keeps that socket alive until its exec and resets what it gets. The
// program stays with the group until Close: a crash or an execve of the master leaves the last table in force.
//
// It needs CAP_BPF. The methods are for one goroutine.
type Steering struct {
	slots   *ebpf.Map     // slot → socket
	buckets *ebpf.Map     // bucket → slot
	program *ebpf.Program // nil after RestoreSteering: the group holds it
	members []*Socket     // borrowed
	weights []int
	table   []int // what buckets holds
}

// NewSteering attaches steering to the group of these sockets, slot i having the i-th, with equal weights. The Steering borrows the
// sockets and does not close them. An error that is os.ErrPermission tells an unprivileged process. One that is ErrSteered says that the
// sockets had been steered by a program that outlived its master; it has been detached, and the kernel needs some milliseconds to let go.
func NewSteering(sockets []*Socket, o SteerOptions) (*Steering, error) {
	if len(sockets) == 0 || len(sockets) > Buckets {
		return nil, fmt.Errorf("steer %d slots: want 1 to %d", len(sockets), Buckets)
	}
	st := &Steering{}
	if err := st.start(sockets, o); err != nil {
		st.release()
		if errors.Is(err, unix.EBUSY) {
			err = errors.Join(ErrSteered, detach(sockets))
		}
		return nil, fmt.Errorf("steer listener %s: %w", describe(sockets[0].listener), err)
	}
	return st, nil
}

func (st *Steering) start(sockets []*Socket, o SteerOptions) error {
	if err := st.load(o.Sticky); err != nil {
		return err
	}
	for i, s := range sockets {
		if err := st.put(i, s); err != nil {
			return err
		}
	}
	st.weights = slices.Repeat([]int{1}, len(sockets))
	table, err := spread(nil, st.weights)
	if err != nil {
		return err
	}
	if err := st.write(table); err != nil {
		return err
	}
	return unix.SetsockoptInt(sockets[0].fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_EBPF, st.program.FD())
}

// load makes the maps and the program.
func (st *Steering) load(sticky bool) (err error) {
	st.slots, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "muster_slots", Type: ebpf.ReusePortSockArray, KeySize: 4, ValueSize: 8, MaxEntries: Buckets,
	})
	if err != nil {
		return fmt.Errorf("make the map of slots: %w", err)
	}
	st.buckets, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "muster_buckets", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: Buckets,
	})
	if err != nil {
		return fmt.Errorf("make the map of buckets: %w", err)
	}
	st.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "muster_steer", Type: ebpf.SkReuseport, License: "Apache-2.0",
		Instructions: steerProgram(st.slots.FD(), st.buckets.FD(), sticky),
	})
	if err != nil {
		return fmt.Errorf("load the program: %w", err)
	}
	return nil
}

// Add makes s the socket of slot i, which may be the next new one. A new slot gets no connections until SetWeights names it.
func (st *Steering) Add(i int, s *Socket) error {
	if i < 0 || i > len(st.members) || i >= Buckets {
		return fmt.Errorf("steer slot %d: there are %d slots", i, len(st.members))
	}
	if err := st.put(i, s); err != nil {
		return err
	}
	if i == len(st.weights) {
		st.weights = append(st.weights, 0)
	}
	return nil
}

func (st *Steering) put(i int, s *Socket) error {
	if s.fd < 0 {
		return fmt.Errorf("steer slot %d: %w", i, ErrClosed)
	}
	if i < len(st.members) && st.members[i] == s {
		return nil // the kernel refuses a socket that is in a map already
	}
	if err := st.slots.Put(uint32(i), uint64(s.fd)); err != nil {
		return fmt.Errorf("steer slot %d: %w", i, err)
	}
	if i == len(st.members) {
		st.members = append(st.members, s)
	}
	st.members[i] = s
	return nil
}

// SetWeights gives each slot its share of new connections, one weight per slot, 0 for none. As few clients as possible change
// their slot. What waits in a queue stays there.
func (st *Steering) SetWeights(weights []int) error {
	if len(weights) != len(st.members) {
		return fmt.Errorf("steer by %d weights: there are %d slots", len(weights), len(st.members))
	}
	table, err := spread(st.table, weights)
	if err != nil {
		return fmt.Errorf("steer by weights %v: %w", weights, err)
	}
	if err := st.write(table); err != nil {
		return err
	}
	st.weights = slices.Clone(weights)
	return nil
}

// write brings the kernel's table to this one, changed buckets only.
func (st *Steering) write(table []int) error {
	if st.table == nil {
		st.table = slices.Repeat([]int{-1}, Buckets)
	}
	for bucket, slot := range table {
		if st.table[bucket] == slot {
			continue
		}
		if err := st.buckets.Put(uint32(bucket), uint32(slot)); err != nil {
			return fmt.Errorf("steer bucket %d to slot %d: %w", bucket, slot, err)
		}
		st.table[bucket] = slot
	}
	return nil
}

// Weights returns the weights in force.
func (st *Steering) Weights() []int { return slices.Clone(st.weights) }

// Table returns the slot of each bucket.
func (st *Steering) Table() []int { return slices.Clone(st.table) }

// FDs returns the descriptors of the two maps, which stay owned by the Steering, to be handed over to RestoreSteering.
func (st *Steering) FDs() (slots, buckets int) { return st.slots.FD(), st.buckets.FD() }

// RestoreSteering takes over the steering of a predecessor by the descriptors of its maps, without a moment of other steering.
// Slot i has the i-th socket and weight. A predecessor that was killed may have done more than it has told: there may be more sockets than
// weights, and where the kernel's table is another than the weights make, they count as not in force. On success the Steering owns the
// descriptors; on error they are closed.
func RestoreSteering(sockets []*Socket, weights []int, slots, buckets int) (*Steering, error) {
	if len(sockets) == 0 || len(sockets) < len(weights) {
		return nil, errors.Join(
			fmt.Errorf("restore steering: %d sockets, %d weights", len(sockets), len(weights)),
			unix.Close(slots), unix.Close(buckets))
	}
	st := &Steering{members: slices.Clone(sockets[:len(weights)]), weights: slices.Clone(weights)}
	err := st.restore(slots, buckets)
	if err == nil {
		err = st.extend(sockets[len(weights):])
	}
	if err != nil {
		st.release()
		return nil, fmt.Errorf("restore steering of listener %s: %w", describe(sockets[0].listener), err)
	}
	return st, nil
}

// extend adds sockets that the predecessor may have added, or not, and compares the table with the weights.
func (st *Steering) extend(sockets []*Socket) error {
	for _, s := range sockets {
		i := len(st.members)
		if err := st.put(i, s); errors.Is(err, unix.EBUSY) { // it is in the map already
			st.members = append(st.members, s)
		} else if err != nil {
			return err
		}
		st.weights = append(st.weights, 0)
	}
	if table, err := spread(st.table, st.weights); err != nil || !slices.Equal(table, st.table) {
		clear(st.weights)
	}
	return nil
}

func (st *Steering) restore(slots, buckets int) error {
	var serr, berr error
	st.slots, serr = mapOf(slots, ebpf.ReusePortSockArray)
	st.buckets, berr = mapOf(buckets, ebpf.Array)
	if err := errors.Join(serr, berr); err != nil {
		return err
	}
	st.table = make([]int, Buckets)
	for bucket := range st.table {
		var slot uint32
		if err := st.buckets.Lookup(uint32(bucket), &slot); err != nil {
			return fmt.Errorf("read bucket %d: %w", bucket, err)
		}
		st.table[bucket] = int(slot)
	}
	return nil
}

// mapOf takes fd over, which must be a map of this type; it closes it on error.
func mapOf(fd int, typ ebpf.MapType) (*ebpf.Map, error) {
	m, err := ebpf.NewMapFromFD(fd)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d is not a map: %w", fd, err)
	}
	if m.Type() != typ || m.MaxEntries() != Buckets {
		return nil, errors.Join(fmt.Errorf("descriptor %d is a map of another kind: %v", fd, m), m.Close())
	}
	return m, nil
}

// Close detaches the program, so that the kernel's hash decides again, and frees it. It does not close the sockets.
func (st *Steering) Close() error {
	err := detach(st.members)
	st.release()
	return err
}

// detach works on any member that is still open; without one the group, and with it the program, is gone from this process.
func detach(members []*Socket) error {
	for _, s := range members {
		if s.fd < 0 {
			continue
		}
		err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("stop steering listener %s: %w", describe(s.listener), err)
		}
		return nil
	}
	return nil
}

// release closes what was loaded; each may be nil.
func (st *Steering) release() {
	st.program.Close()
	st.buckets.Close()
	st.slots.Close()
	st.members = nil
}
