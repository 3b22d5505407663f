package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/nodeipc"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/pulse"
	"github.com/musterd/muster/internal/sock"
	"github.com/musterd/muster/internal/stage"
)

// listener is an address of the app with its sockets: one per slot, or one for all. The sockets are open for the life of the master, so that
// a connection that waits in one is served by whoever comes next.
type listener struct {
	app.Listener
	index     int            // in Master.listeners
	declared  bool           // in the spec, not asked for by a worker
	tuple     string         // what the workers call it
	sockets   []*sock.Socket // by slot; or one
	shared    bool
	closed    bool            // its sockets are gone
	steering  *sock.Steering  // nil where the kernel's hash spreads connections
	unsteered error           // why
	data      json.RawMessage // of the first worker that asked, for all who follow: a TLS server's ticket keys
}

// socket is what the occupant of a slot gets.
func (l *listener) socket(slot int) *sock.Socket {
	if l.shared {
		return l.sockets[0]
	}
	return l.sockets[slot]
}

// forsake closes the sockets of a listener that no worker has.
func (m *Master) forsake(l *listener) {
	for slot := range l.sockets {
		if m.rescue.watch != nil && !l.shared {
			m.rescue.watch.Remove(pulse.Key{Listener: l.index, Slot: slot})
		}
	}
	m.unkeepListener(l)
	l.close()
	l.closed, l.declared = true, false
}

func (l *listener) close() {
	if l.steering != nil {
		_ = l.steering.Close() // nothing is left to be steered
		l.steering = nil
	}
	for _, s := range l.sockets {
		_ = s.Close() // nothing is lost: no worker is left
	}
}

func (l *listener) tcp() bool { return isTCP(l.Network) }

func isTCP(network string) bool { return network == "tcp" || network == "tcp4" || network == "tcp6" }

func (l *listener) stream() bool {
	return l.Network != "udp" && l.Network != "udp4" && l.Network != "udp6"
}

func (m *Master) openListeners() error {
	if m.cfg.Handoff == app.HandoffNone {
		return nil
	}
	for _, l := range m.cfg.App.Listeners {
		opened, err := m.openListener(l, sock.Options{})
		for isLeftBy(err) {
			opened, err = m.openListener(l, sock.Options{})
		}
		if err != nil {
			return err
		}
		opened.declared = true
	}
	return nil
}

// isLeftBy tells whether an address was in use by what a master had been starting when it was killed, and that has ended now.
func isLeftBy(err error) bool {
	used, ok := errors.AsType[*sock.InUseError](err)
	return ok && strings.HasPrefix(used.Owner.Command, stage.Argv0) && proc.AwaitEnd(used.Owner.PID)
}

// openListener opens one socket per slot where that is worth it, else one for all.
func (m *Master) openListener(l app.Listener, o sock.Options) (*listener, error) {
	o.Nonblock = m.cfg.nonblock()
	o.UID, o.GID = m.cfg.SockUID, m.cfg.SockGID
	if bits := m.cfg.App.ListenBits; bits != nil {
		o.Mode = os.FileMode(*bits)
	}
	opened := &listener{Listener: l, shared: m.shares(l)}
	if fd, given := m.cfg.Given[l.Name]; given { // one socket, and so one queue
		s, err := adoptGiven(fd, l, o)
		if err != nil {
			return nil, err
		}
		opened.shared, opened.sockets = true, []*sock.Socket{s}
	} else if opened.shared {
		s, err := sock.OpenShared(l, o)
		if err != nil {
			return nil, err
		}
		opened.sockets = []*sock.Socket{s}
	} else {
		sockets, err := sock.OpenSlots(l, m.slots, o)
		if err != nil {
			return nil, err
		}
		opened.sockets = sockets
	}
	opened.Port, opened.index = opened.sockets[0].Port(), len(m.listeners)
	m.listeners = append(m.listeners, opened)
	m.steer(opened)
	m.keepListener(opened)
	return opened, nil
}

// adoptGiven takes over a socket that a manager above has opened. Its path, if it has one, stays that manager's.
func adoptGiven(fd int, l app.Listener, o sock.Options) (*sock.Socket, error) {
	s, err := sock.Adopt(fd, l)
	if err != nil {
		return nil, err
	}
	if err := s.SetNonblock(o.Nonblock); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// shares tells whether all slots take from one queue. Only TCP can have several on one address, and only where the kernel spreads them.
func (m *Master) shares(l app.Listener) bool {
	return !isTCP(l.Network) || m.balance == app.BalanceShared || !canSpread
}

// openSlot makes the sockets of a new slot, unless a scale-down has parked them.
func (m *Master) openSlot(slot int) {
	if slot < m.slots {
		return
	}
	m.slots = slot + 1
	for _, l := range m.listeners {
		if l.shared || l.closed {
			continue
		}
		s, err := m.addSocket(l)
		if err != nil {
			m.log.Error("slot without a socket", logs.KeySlot, slot, keyListener, l.Name, keyError, err)
			continue
		}
		l.sockets = append(l.sockets, s)
		m.keepSocket(l, len(l.sockets)-1)
		m.watchSlot(l, slot)
		if l.steering == nil {
			continue
		}
		if err := l.steering.Add(slot, s); err != nil {
			m.log.Warn("slot is not steered to", logs.KeySlot, slot, keyListener, l.Name, keyError, err)
		}
	}
}

// addSocket makes one more socket on the listener's address. Where the system refuses, the new slot takes from the first one's queue.
func (m *Master) addSocket(l *listener) (*sock.Socket, error) {
	s, err := sock.AddSlot(l.Listener, sock.Options{Nonblock: m.cfg.nonblock()})
	if err == nil {
		return s, nil
	}
	m.log.Warn("slot without a queue of its own", keyListener, l.Name, keyError, err)
	fd, err := l.sockets[0].Dup()
	if err != nil {
		return nil, err
	}
	return sock.Adopt(fd, l.Listener)
}

// listenerFor finds or opens what a worker asked for.
func (m *Master) listenerFor(q nodeipc.Query) (*listener, error) {
	if q.HasFD && q.FD >= 0 {
		return m.listenerByFD(q)
	}
	if l := m.match(q); l != nil {
		return l, nil
	}
	l, err := listenerOf(q)
	if err != nil {
		return nil, err
	}
	opened, err := m.openListener(l, sock.Options{Backlog: q.Backlog, Mode: modeOf(q), V6Only: q.Flags&nodeipc.FlagIPv6Only != 0})
	if err != nil {
		return nil, err
	}
	opened.tuple = q.Tuple()
	m.watchSlots(opened)
	m.log.Info("listening", keyListener, opened.Address())
	return opened, nil
}

// match finds the listener that a worker means: one that it, or another, has asked for in the same words; or a declared one with the port
// or path. The operator's host wins over the program's.
func (m *Master) match(q nodeipc.Query) *listener {
	for _, l := range m.listeners {
		if l.tuple == q.Tuple() && !l.closed {
			return l
		}
	}
	for _, l := range m.listeners {
		if l.declared && l.means(q) {
			return l
		}
	}
	return nil
}

func (l *listener) means(q nodeipc.Query) bool {
	switch {
	case q.Type == nodeipc.Path:
		return l.Network == "unix" && l.Path == q.Address
	case q.Type.UDP() == l.stream() || l.Network == "unix":
		return false
	default:
		return q.Port > 0 && l.Port == q.Port
	}
}

// listenerByFD takes the number in listen({fd}) as systemd's convention has it: the declared listeners count from 3.
func (m *Master) listenerByFD(q nodeipc.Query) (*listener, error) {
	n := q.FD - firstFD
	for _, l := range m.listeners {
		if !l.declared {
			continue
		}
		if n == 0 && l.stream() != q.Type.UDP() {
			return l, nil
		}
		n--
	}
	return nil, fmt.Errorf("listen on descriptor %d: %w", q.FD, errBadFD)
}

const firstFD = 3 // SD_LISTEN_FDS_START

var errBadFD = errors.New("no declared listener has it: they count from 3")

func listenerOf(q nodeipc.Query) (app.Listener, error) {
	l := app.Listener{Host: q.Address, Port: q.Port}
	switch q.Type {
	case nodeipc.Path:
		l = app.Listener{Network: "unix", Path: q.Address}
	case nodeipc.TCP4, nodeipc.TCP6:
		l.Network = "tcp"
	case nodeipc.UDP4:
		l.Network = "udp4"
	case nodeipc.UDP6:
		l.Network = "udp6"
	default:
		return l, fmt.Errorf("listen on %q: %w", q.Tuple(), errors.ErrUnsupported)
	}
	l.Name = app.DeriveName(q.Tuple())
	return l, nil
}

// modeOf is the mode of a unix socket: the umask decides, unless the program asked for more. Zero leaves it to the umask.
func modeOf(q nodeipc.Query) os.FileMode {
	if q.Type != nodeipc.Path || !q.ReadableAll && !q.WritableAll {
		return 0
	}
	mode := os.FileMode(0o700)
	if q.ReadableAll {
		mode |= 0o444
	}
	if q.WritableAll {
		mode |= 0o222
	}
	return mode
}
