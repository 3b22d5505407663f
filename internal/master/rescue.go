package master

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/pulse"
	"github.com/musterd/muster/internal/sock"
)

// rescuer takes connections out of the queues of slots whose worker does not, and gives them to workers that do. The loop owns it.
type rescuer struct {
	watch   *pulse.Watcher     // nil where there is none
	stuck   map[pulse.Key]bool // the queues to take connections from
	waiting []*rescue          // that no worker can take now
	again   bool               // an alarm is set for them
	total   uint64             // connections that a worker took
}

// rescue is a connection on its way from one slot's queue to another slot's worker. The master keeps its descriptor until a worker has
// said that it has the connection, since one that refuses it closes only its own copy.
type rescue struct {
	fd       int
	listener *listener
	from     int
	refused  []lifecycle.WorkerID
}

// queue is a socket as the watcher sees it.
type queue struct{ *sock.Socket }

// Length is the number of connections that wait.
func (q queue) Length() (int, error) {
	state, err := q.Queue()
	return state.Len, err
}

// canRescue tells whether workers take connections that the master has accepted.
func (m *Master) canRescue() bool { return m.cfg.speaksNode() }

func (m *Master) openRescue() {
	if !m.canRescue() && !slices.ContainsFunc(m.listeners, func(l *listener) bool { return l.steering != nil }) {
		return
	}
	watch, err := pulse.New(func(r pulse.Report) { m.post(func() { m.pulse(r) }) })
	if err != nil {
		m.log.Warn("queues are not watched", keyError, err)
		return
	}
	m.rescue.watch, m.rescue.stuck = watch, map[pulse.Key]bool{}
	for _, l := range m.listeners {
		m.watchSlots(l)
	}
}

func (r *rescuer) close() {
	if r.watch != nil {
		r.watch.Close()
	}
	for _, c := range r.waiting {
		_ = unix.Close(c.fd)
	}
	r.waiting = nil
}

// watchSlots keeps an eye on the queues of a listener's slots, whose connections nobody but their occupant takes.
func (m *Master) watchSlots(l *listener) {
	for slot := range l.sockets {
		m.watchSlot(l, slot)
	}
}

func (m *Master) watchSlot(l *listener, slot int) {
	if l.shared || m.rescue.watch == nil {
		return
	}
	key := pulse.Key{Listener: l.index, Slot: slot}
	if err := m.rescue.watch.Add(key, queue{l.sockets[slot]}); err != nil {
		m.log.Warn("queue is not watched", logs.KeySlot, slot, keyListener, l.Name, keyError, err)
		return
	}
	m.rescue.watch.Urgent(key, !m.served(l, slot))
}

// served tells whether the slot has a worker that takes connections from this listener.
func (m *Master) served(l *listener, slot int) bool {
	k := m.state.ServingIn(slot)
	return k != nil && m.workers[k.ID] != nil && (!m.cfg.speaksNode() || m.workers[k.ID].holds(l))
}

// attend tells the watcher who serves, after something changed in the slot, and gives waiting connections another chance.
func (m *Master) attend(slot int) {
	if m.rescue.watch == nil || slot == lifecycle.NoSlot {
		return
	}
	for _, l := range m.listeners {
		if !l.shared && !l.closed && slot < len(l.sockets) {
			m.rescue.watch.Urgent(pulse.Key{Listener: l.index, Slot: slot}, !m.served(l, slot))
		}
		m.weigh(l)
	}
	m.retryRescues()
}

// pulse is told that a queue is stuck, or moves again.
func (m *Master) pulse(r pulse.Report) {
	l, slot := m.listeners[r.Key.Listener], r.Key.Slot
	if l.closed {
		return
	}
	m.setBlocked(l, slot, r.Stuck && !r.Urgent)
	if !r.Stuck {
		delete(m.rescue.stuck, r.Key)
		return
	}
	m.rescue.stuck[r.Key] = true
	m.relieve(r.Key)
	if k := m.state.ServingIn(slot); k != nil && m.workers[k.ID].blocked {
		m.askSign(m.workers[k.ID])
	}
}

// relieve takes connections out of a stuck queue for as long as somebody has time for them.
func (m *Master) relieve(key pulse.Key) {
	l, slot := m.listeners[key.Listener], key.Slot
	for m.needsRelief(l, slot) {
		target := m.rescuerFor(l, slot, nil)
		if target == nil {
			return
		}
		fd, err := l.sockets[slot].Accept()
		if err != nil {
			m.rescueFailed(err)
			return
		}
		m.rescue.watch.Took(key, 1)
		m.give(target, &rescue{fd: fd, listener: l, from: slot})
	}
	delete(m.rescue.stuck, key)
}

// needsRelief tells whether nobody takes connections from the slot's queue.
func (m *Master) needsRelief(l *listener, slot int) bool {
	if l.closed {
		return false
	}
	k := m.state.ServingIn(slot)
	return !m.served(l, slot) || m.workers[k.ID].isDeaf()
}

func (m *Master) rescueFailed(err error) {
	if !errors.Is(err, sock.ErrEmpty) {
		m.log.Warn("connection not rescued", keyError, err)
	}
}

// setBlocked notes whether the occupant of a slot leaves its connections waiting.
func (m *Master) setBlocked(l *listener, slot int, stuck bool) {
	k := m.state.ServingIn(slot)
	if k == nil {
		return
	}
	w := m.workers[k.ID]
	blocked := stuck && m.served(l, slot)
	if w.blocked == blocked {
		return
	}
	w.blocked = blocked
	kind := api.EventUnblocked
	if blocked {
		kind = api.EventBlocked
	}
	m.publish(m.eventOf(kind, w, ""))
	if blocked {
		w.blockedAt = time.Now()
		m.after(blockedShown, func() { m.reportBlocked(w) })
	} else if w.blockedShown {
		w.blockedShown = false
		m.log.Info("worker takes connections again", logs.KeySlot, slot, logs.KeyWorker, w.id, keyAfter, time.Since(w.blockedAt).Round(time.Millisecond))
	}
	m.weigh(l)
	if !blocked && w.suspected == lifecycle.SenseQueue {
		m.suspect(w, "")
	}
	m.step(lifecycle.Blocked{Worker: w.id, Sense: lifecycle.SenseQueue, Is: blocked})
}

// blockedShown is how long a worker is blocked before the log says so: on a busy machine many are, for a moment.
const blockedShown = time.Second

func (m *Master) reportBlocked(w *worker) {
	if m.workers[w.id] != w || !w.blocked || w.blockedShown || time.Since(w.blockedAt) < blockedShown {
		return
	}
	w.blockedShown = true
	m.log.Warn("worker blocked: others take its connections", logs.KeySlot, w.slot, logs.KeyWorker, w.id)
}

// rescuerFor picks a worker that can take a connection of that listener now: one that serves, is not busy with another rescue, has fewer
// connections waiting than the slot, and answered a moment ago, for what it is given cannot be taken back. Without a slot, any queue will
// do. Nil if there is none; then some are asked for a sign, which brings us here again.
func (m *Master) rescuerFor(l *listener, slot int, not []lifecycle.WorkerID) *worker {
	able := m.ableTo(l, slot, not)
	for _, w := range able {
		if time.Since(w.heard) < heardLately {
			return w
		}
	}
	for _, w := range able[:min(len(able), asksAtOnce)] {
		m.askSign(w)
	}
	return nil
}

const (
	heardLately = 50 * time.Millisecond
	asksAtOnce  = 4
)

// ableTo lists the workers that might take a connection out of a slot's queue, the best first.
func (m *Master) ableTo(l *listener, slot int, not []lifecycle.WorkerID) []*worker {
	limit := math.MaxInt
	if slot != lifecycle.NoSlot {
		limit = waiting(l.socket(slot))
	}
	type candidate struct {
		*worker
		queue int
	}
	var able []candidate
	for _, w := range m.servingWorkers() {
		if w.slot == slot || slices.Contains(not, w.id) || !m.canTake(l, w) {
			continue
		}
		if n := waiting(l.socket(w.slot)); n < limit {
			able = append(able, candidate{w, n})
		}
	}
	slices.SortFunc(able, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.queue, b.queue), cmp.Compare(a.lastRescue, b.lastRescue))
	})
	workers := make([]*worker, len(able))
	for i, c := range able {
		workers[i] = c.worker
	}
	return workers
}

// canTake tells whether the worker is at hand: it takes one connection at a time, and whom it owes a sign of life may be blocked.
func (m *Master) canTake(l *listener, w *worker) bool {
	return w.conn != nil && !w.isDeaf() && len(w.rescued) == 0 && w.sign == 0 && w.holds(l)
}

// waiting is the length of a queue; 0 where it cannot be known.
func waiting(s *sock.Socket) int {
	n, err := queue{s}.Length()
	if err != nil {
		return 0
	}
	return n
}

func (m *Master) give(w *worker, c *rescue) {
	seq, err := w.conn.NewConn(w.keyOf(c.listener), c.fd)
	if err != nil {
		c.refused = append(c.refused, w.id)
		m.rescue.waiting = append(m.rescue.waiting, c)
		m.retryLater()
		return
	}
	m.gives++
	w.lastRescue = m.gives
	w.rescued[seq] = c
}

// answered is told whether the worker has the connection.
func (m *Master) answered(w *worker, seq int64, ok bool) {
	w.heard = time.Now()
	if seq == w.sign {
		m.alive(w)
		return
	}
	c := w.rescued[seq]
	if c == nil {
		return
	}
	delete(w.rescued, seq)
	if ok {
		m.rescue.total++
		_ = unix.Close(c.fd)
	} else {
		c.refused = append(c.refused, w.id)
		m.rescue.waiting = append(m.rescue.waiting, c)
	}
	m.retryRescues()
}

// lost takes back what a worker was given and will never answer for: it died, or closed its channel, before it accepted.
func (m *Master) lost(w *worker) {
	for seq, c := range w.rescued {
		delete(w.rescued, seq)
		m.rescue.waiting = append(m.rescue.waiting, c)
	}
	m.retryRescues()
}

// retryRescues gives what is in the master's hands another chance, and then what waits in stuck queues.
func (m *Master) retryRescues() {
	again := m.rescue.waiting
	m.rescue.waiting = nil
	for _, c := range again {
		target := m.rescuerFor(c.listener, lifecycle.NoSlot, c.refused)
		if target == nil && len(c.refused) > 0 { // everybody had a chance: begin again
			c.refused = nil
			target = m.rescuerFor(c.listener, lifecycle.NoSlot, nil)
		}
		if target == nil {
			m.rescue.waiting = append(m.rescue.waiting, c)
			continue
		}
		m.give(target, c)
	}
	for key := range m.rescue.stuck {
		m.relieve(key)
	}
	m.retryLater()
}

// retryPause is the time until somebody may have time for a connection that nobody had time for.
const retryPause = 20 * time.Millisecond

// retryLater sees to it that no connection is forgotten that nothing else will remind the master of.
func (m *Master) retryLater() {
	if m.rescue.again || len(m.rescue.waiting) == 0 {
		return
	}
	m.rescue.again = true
	m.after(retryPause, func() {
		m.rescue.again = false
		m.retryRescues()
	})
}

func (w *worker) keyOf(l *listener) string {
	for key, held := range w.keys {
		if held == l {
			return key
		}
	}
	return ""
}
