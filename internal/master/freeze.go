package master

import (
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/proc"
)

// freeze brings the master to a stand that a snapshot can be taken of: no start is under way, every event that a reader has read is either
// handled or kept with its worker, no reader runs, and no process is reaped until release is called. Nobody is told anything; the workers
// notice nothing.
func (m *Master) freeze() (s *snapshot, release func()) {
	m.pauseControl()
	m.settleStarts()
	m.closeGate()
	s = m.snapshotHead()
	s.Recent = m.recentEvents()
	if m.survives() {
		s.Pages = savedPages{Number: m.kept.pages.Number(), Names: m.kept.names[:]}
		if m.kept.box != nil {
			ends := m.kept.box.FDs()
			s.Box = &ends
		}
	}
	if m.guard != nil {
		s.Guard = m.guard.Handle()
	}
	m.stopWatching()
	m.closeWatch()
	saved := map[*worker]*savedWorker{}
	for _, k := range m.state.Workers {
		if w := m.workers[k.ID]; w != nil {
			saved[w] = m.detach(w)
		}
	}
	m.awaitReaders()
	release = proc.Hold()
	for _, k := range m.state.Workers {
		if w := m.workers[k.ID]; w != nil {
			s.Workers = append(s.Workers, m.save(w, saved[w]))
		}
	}
	for _, l := range m.listeners {
		s.Listeners = append(s.Listeners, l.save())
	}
	for _, r := range m.rescue.waiting {
		s.Waiting = append(s.Waiting, r.save())
	}
	return s, release
}

// snapshotHead is what a snapshot says of the master itself.
func (m *Master) snapshotHead() *snapshot {
	return &snapshot{
		Version: SnapshotVersion, Config: m.cfg, State: m.state, Slots: m.slots, Asks: m.asks, Ops: m.ops, Stops: m.stops, Gives: m.gives,
		Rescued: m.rescue.total, Upgrades: m.upgrades, LastExit: m.lastExit, Guard: proc.GuardHandle{Conn: -1, Process: proc.Handle{PIDFD: -1}},
		Folder: m.run.Handle(), Control: m.control.socket, Memory: m.control.memory,
		Groups: m.groups.all, Together: m.groups.set, Refused: m.refused,
	}
}

// settleStarts handles events until no process is being started: half a process cannot be handed over.
func (m *Master) settleStarts() {
	for m.drainQueued(); m.spawning > 0; m.drainQueued() {
		do := <-m.inbox
		do()
	}
}

// closeGate handles what is in the inbox, or on its way into it, and lets nothing more in.
func (m *Master) closeGate() {
	for !m.gate.TryLock() {
		select {
		case do := <-m.inbox:
			do()
		default:
		}
	}
	close(m.frozen)
	m.gate.Unlock()
	for {
		select {
		case do := <-m.inbox:
			do()
		default:
			m.drainQueued()
			if len(m.inbox) == 0 {
				return
			}
		}
	}
}

func (m *Master) stopWatching() {
	if m.rescue.watch != nil {
		m.rescue.watch.Close()
		m.rescue.watch = nil
	}
}

// detach takes the descriptors away from what reads them, which ends these.
func (m *Master) detach(w *worker) *savedWorker {
	s := &savedWorker{Channel: -1, Notify: -1, Output: [2]int{-1, -1}}
	if w.cancel != nil {
		w.cancel()
	}
	for i, f := range w.output {
		s.Output[i] = dupReader(f)
		_ = f.Close()
	}
	if w.conn != nil {
		if fd, business, err := w.conn.Detach(); err == nil {
			s.Channel, s.Business = fd, business
		}
	}
	if w.notify != nil {
		if fd, err := w.notify.Detach(); err == nil {
			s.Notify = fd
		}
	}
	return s
}

func dupReader(f *logs.Reader) int {
	fd := -1
	if f == nil {
		return fd
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return fd
	}
	if err := raw.Control(func(n uintptr) { fd = dup(int(n)) }); err != nil {
		return -1
	}
	return fd
}

func (m *Master) save(w *worker, s *savedWorker) savedWorker {
	m.saveCommon(w, s)
	s.Unnoticed, s.Tail = w.unnoticed, w.tail.Lines()
	for i := range w.unfinished {
		if line := w.unfinished[i].Load(); line != nil {
			s.Begun[i] = *line
		}
	}
	for _, e := range w.unheard {
		if event, err := saveEvent(e); err == nil {
			s.Unheard = append(s.Unheard, event)
		}
	}
	s.Rescued = map[int64]savedRescue{}
	for seq, r := range w.rescued {
		s.Rescued[seq] = r.save()
	}
	return *s
}

// saveCommon saves what the loop owns of a worker.
func (m *Master) saveCommon(w *worker, s *savedWorker) {
	s.ID, s.Slot, s.Gen, s.Process, s.Started = w.id, w.slot, w.gen, w.handle, w.started
	s.Asked, s.Online, s.Ready, s.Waiting, s.Unacked = w.asked, w.online, w.ready, w.waiting, w.unacked
	s.StopSent, s.Killed, s.Status = w.stopSent, w.killed, w.status
	s.Phase, s.Since, s.Inspect, s.Drained = w.phase, w.since, w.inspectPort, w.drained
	s.Keys = map[string]int{}
	for key, l := range w.keys {
		s.Keys[key] = l.index
	}
	if w.process != nil && w.process.Gone() {
		<-w.end.done // its exit has been taken from the kernel: it is about to be told
		exit := w.end.exit
		s.Ended = &exit
		s.Process.PIDFD = -1
	}
}

func (r *rescue) save() savedRescue {
	return savedRescue{FD: r.fd, Listener: r.listener.index, From: r.from, Refused: r.refused}
}

func (l *listener) save() savedListener {
	s := savedListener{Listener: l.Listener, Declared: l.declared, Tuple: l.tuple, Shared: l.shared, Closed: l.closed, Data: l.data}
	if l.closed {
		return s
	}
	if l.steering != nil {
		slots, buckets := l.steering.FDs()
		s.Steering = &savedSteering{Slots: slots, Buckets: buckets, Weights: l.steering.Weights()}
	}
	for _, socket := range l.sockets {
		s.Sockets = append(s.Sockets, socket.FD())
		s.OwnsPath = s.OwnsPath || socket.OwnsPath()
	}
	return s
}
