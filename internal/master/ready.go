package master

import (
	"net"
	"strconv"
	"time"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/sock"
)

// senseReady starts what tells that the worker serves, if that is not a message of its own.
func (m *Master) senseReady(w *worker) {
	switch kind := m.of(w).App.ReadyBy.Kind; {
	case kind == app.ReadyStart:
		m.becomeReady(w)
	case kind == app.ReadyTCP:
		m.probe(w)
	case kind == app.ReadyMessage, kind == app.ReadyNotify:
	case m.cfg.Handoff == app.HandoffNone, m.cfg.Handoff == app.HandoffInherit && len(m.listeners) == 0:
		m.becomeReady(w)
	case m.cfg.Handoff == app.HandoffInherit:
		m.probe(w)
	case m.cfg.speaksNode():
		m.expectListen(w)
	}
}

// expectListen is for Node programs that never listen through the master: one that binds by itself (exclusive, reusePort), and one that
// serves nothing at all. Both are no failure where the operator declared no listener and no worker of the app ever asked for one.
func (m *Master) expectListen(w *worker) {
	if len(m.cfg.App.Listeners) == 0 {
		m.after(m.state.Policy.StartTimeout*9/10, func() { m.background(w) })
	}
	m.poll(w, m.bindsItself(), func() {
		if !w.asked { // what it listens on may be the master's
			m.listensItself(w)
		}
	})
}

// listensItself takes note of a worker that serves without the master. Sockets of the master's on its port would only keep connections from it.
func (m *Master) listensItself(w *worker) {
	m.becomeReady(w)
	if m.asks {
		return
	}
	for _, l := range m.listeners {
		if l.declared && !l.closed {
			m.log.Warn("worker listens by itself (exclusive or reusePort): the declared listener is closed",
				keyListener, l.Name, keyHint, "drop --listen, or let the program listen through its cluster")
			m.forsake(l)
		}
	}
}

func (m *Master) background(w *worker) {
	if m.workers[w.id] != w || w.ready || w.asked || m.asks {
		return
	}
	m.log.Warn("worker takes no socket: taken for a background program",
		logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyHint, "--handoff none, or --ready start, does not wait")
	m.becomeReady(w)
}

// bindsItself tells whether one of the processes holds a listening socket that is not the master's.
func (m *Master) bindsItself() func(pids []int) bool {
	var ours []uint64
	for _, l := range m.listeners {
		for _, s := range l.sockets {
			if inode, err := s.Inode(); err == nil {
				ours = append(ours, inode)
			}
		}
	}
	return func(pids []int) bool {
		listens, err := sock.Listens(pids, ours)
		return err == nil && listens
	}
}

// probe watches a silent program until it takes connections: until the kernel shows that it waits for them, or it has taken the master's
// own from a queue that no other worker takes from.
func (m *Master) probe(w *worker) {
	l := m.probed()
	if l == nil {
		m.becomeReady(w)
		return
	}
	socket := l.socket(w.slot)
	inode, err := socket.Inode()
	if err != nil {
		m.log.Warn("listener not probed", keyListener, l.Name, keyError, err)
		return
	}
	knock := &knocker{listener: l, socket: socket, private: !l.shared, alone: len(m.servingWorkers()) == 0}
	w.probed = true
	m.poll(w, func(pids []int) bool {
		waits, err := sock.Waiting(inode, pids)
		return err == nil && waits || knock.taken()
	}, func() { m.becomeReady(w) })
}

// saysReady is told that a worker sent READY=1. Where its socket shows whether somebody takes from it, that is believed rather: gunicorn says
// so before it has loaded the app, which may yet fail. What cannot be seen, as with io_uring, is believed in the end.
func (m *Master) saysReady(w *worker) {
	kind := m.of(w).App.ReadyBy.Kind
	if sees := w.probed && sock.Visible(w.process.PID()); !sees || kind != app.ReadyAuto && kind != "" {
		m.sensed(w, app.ReadyNotify)
		return
	}
	if w.saidReady {
		return
	}
	w.saidReady = true
	m.after(time.Until(w.started.Add(m.state.Policy.StartTimeout*9/10)), func() { m.believe(w) })
}

func (m *Master) believe(w *worker) {
	if m.workers[w.id] != w || w.ready {
		return
	}
	m.log.Warn("worker says it is ready, and is not seen to wait for connections", logs.KeySlot, w.slot, logs.KeyWorker, w.id,
		keyHint, "--ready notify takes its word at once")
	m.becomeReady(w)
}

// probed is the listener that tells: the first that takes connections.
func (m *Master) probed() *listener {
	for _, l := range m.listeners {
		if l.declared && l.stream() {
			return l
		}
	}
	for _, l := range m.listeners {
		if l.declared {
			return l
		}
	}
	return nil
}

// poll asks, beside the loop, whether the worker serves, until it does or is ready by another sense or leaves.
func (m *Master) poll(w *worker, serves func(pids []int) bool, then func()) {
	ctx := w.lookAnew()
	pid := w.process.PID()
	m.wg.Go(func() { // ends with ctx, at the latest when the worker is released
		for wait := pollFirst; ; wait = min(wait*3/2, pollMost) {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return
			}
			if serves(proc.Tree(pid)) {
				m.post(func() { m.polled(w, then) })
				return
			}
		}
	})
}

const (
	pollFirst = 5 * time.Millisecond
	pollMost  = 100 * time.Millisecond
)

func (m *Master) polled(w *worker, then func()) {
	if m.workers[w.id] == w && !w.ready {
		then()
	}
}

// knocker watches connections leave a queue: those that happen to be there, and where the queue is the only one of its address, one of the
// master's own.
type knocker struct {
	listener *listener
	socket   *sock.Socket
	private  bool // nobody but the worker takes from the queue, ever
	alone    bool // nobody else takes from it yet
	seen     bool // a connection waited
}

// taken tells whether the worker took a connection.
func (k *knocker) taken() bool {
	if !k.private && !k.alone {
		return false
	}
	q, err := k.socket.Queue()
	switch {
	case err != nil:
		return false
	case k.seen:
		return q.Len == 0
	case q.Len > 0:
		k.seen = true
	case !k.private:
		k.seen = k.knock()
	}
	return false
}

func (k *knocker) knock() bool {
	if !k.listener.tcp() {
		return false
	}
	host := k.listener.Host
	if host == "" {
		host = "localhost"
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(k.listener.Port)), time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// servingWorkers are those that take connections now.
func (m *Master) servingWorkers() []*worker {
	var all []*worker
	for _, k := range m.state.Workers {
		if w := m.workers[k.ID]; w != nil && k.Phase == lifecycle.Serving {
			all = append(all, w)
		}
	}
	return all
}
