package master

import (
	"context"
	"fmt"
	"os"

	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/nodeipc"
	"github.com/musterd/muster/internal/notify"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/rundir"
	"github.com/musterd/muster/internal/sock"
)

// Restore goes on with an app whose master has become this process by an upgrade: number is the value of RestoreVariable, which the
// caller has removed from the environment, and the descriptors in the snapshot are open. What adapt returns is each generation's Config
// with what does not live through an execve. Otherwise it is Run.
func Restore(ctx context.Context, number string, adapt func(Config) Config) (int, error) {
	s, err := loadSnapshot(number)
	if err != nil {
		return 1, err
	}
	s.Config.Stdout, s.Config.Stderr = os.Stdout, os.Stderr
	s.Config = adapt(s.Config)
	for gen, cfg := range s.Memory.Configs {
		cfg.Stdout, cfg.Stderr = os.Stdout, os.Stderr
		s.Memory.Configs[gen] = adapt(cfg)
	}
	m, err := revive(s, nil)
	if err != nil {
		return 1, err
	}
	m.restoreBox(s.Box)
	m.openStore()
	m.later(m.upgraded)
	return m.runOn(ctx, catchSignals())
}

// estate is what a master leaves to the one that takes its place in the same process, after an upgrade that failed.
type estate struct {
	kept      keeping
	run       *rundir.Folder
	spawner   *proc.Spawner
	reaper    *proc.Reaper
	guard     *proc.Guard
	listeners []*listener
	workers   map[lifecycle.WorkerID]*worker
	output    *logs.Output
}

// revive makes a master of a snapshot. With an estate its sockets and processes are those, else they are adopted.
func revive(s *snapshot, e *estate) (*Master, error) {
	m := newMaster(s.Config)
	m.state, m.slots, m.asks, m.ops, m.stops, m.gives = s.State, s.Slots, s.Asks, s.Ops, s.Stops, s.Gives
	m.upgrades, m.lastExit, m.rescue.total = s.Upgrades, s.LastExit, s.Rescued
	m.control.memory, m.control.recent, m.control.socket = s.Memory, s.Recent, s.Control
	m.groups.all, m.groups.set, m.refused = s.Groups, s.Together, s.Refused
	m.revived = s
	m.kept.number, m.kept.stale = s.Pages.Number, s.Pages.Names
	if e != nil {
		m.inherited(e)
		return m, nil
	}
	m.output = m.newOutput()
	if err := m.openLogs(); err != nil { // workers serve; that is worth more than their lines
		m.log.Error("log files not opened", keyError, err)
	}
	if err := m.adopt(s); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// inherited goes on with what the former master of this process had.
func (m *Master) inherited(e *estate) {
	m.output = e.output // a pump that waits for its reader may still write to it
	m.output.Tell(m.outputEvents())
	m.useLog(m.output.Records())
	m.kept = e.kept
	m.run, m.spawner, m.reaper, m.guard, m.listeners = e.run, e.spawner, e.reaper, e.guard, e.listeners
	for _, saved := range m.revived.Workers {
		old := e.workers[saved.ID]
		w := m.reviveWorker(saved)
		w.process, w.end = old.process, old.end
		m.reviveKeys(w)
	}
	m.reviveRescues()
}

// adopt takes over what lived through the execve: processes first, so that the reaper knows them.
func (m *Master) adopt(s *snapshot) error {
	m.spawner = proc.NewSpawner(m.log)
	m.run = rundir.Adopt(s.Folder)
	for _, saved := range s.Workers {
		w := m.reviveWorker(saved)
		if saved.Ended != nil {
			continue
		}
		saved.Process.Group = m.groupOf(saved.ID)
		p, err := proc.Adopt(saved.Process)
		if err != nil {
			return fmt.Errorf("adopt worker %d: %w", saved.ID, err)
		}
		w.process = p
	}
	for _, saved := range s.Listeners {
		if err := m.adoptListener(saved); err != nil {
			return err
		}
	}
	for _, w := range m.workers {
		m.reviveKeys(w)
	}
	m.reviveRescues()
	return m.adoptHelpers(s)
}

func (m *Master) adoptHelpers(s *snapshot) error {
	if err := proc.BecomeSubreaper(); err != nil {
		m.log.Debug("stray processes cannot be caught", keyError, err)
	}
	if s.Guard.Conn >= 0 {
		guard, err := proc.ResumeGuard(m.spawner, s.Guard)
		if err != nil {
			return fmt.Errorf("go on with the guard: %w", err)
		}
		m.guard = guard
		m.guardGroups()
	}
	for _, w := range m.workers {
		if w.process != nil {
			if m.guard != nil {
				m.guard.Add(w.process)
			}
			w.end = watchEnd(w.process)
		}
	}
	m.reaper = proc.NewReaper(m.log)
	return nil
}

func (m *Master) adoptListener(saved savedListener) error {
	l := &listener{
		Listener: saved.Listener, index: len(m.listeners), declared: saved.Declared, tuple: saved.Tuple, shared: saved.Shared,
		closed: saved.Closed, data: saved.Data,
	}
	m.listeners = append(m.listeners, l)
	for _, fd := range saved.Sockets {
		s, err := sock.Adopt(fd, saved.Listener)
		if err != nil {
			return err
		}
		if saved.OwnsPath {
			if err := s.ClaimPath(); err != nil {
				m.log.Warn("path of a unix socket is not ours any more", keyListener, l.Name, keyError, err)
			}
		}
		l.sockets = append(l.sockets, s)
	}
	m.restoreSteering(l, saved.Steering)
	return nil
}

// reviveWorker makes a worker of its record, without its process.
func (m *Master) reviveWorker(s savedWorker) *worker {
	w := &worker{
		id: s.ID, slot: s.Slot, gen: s.Gen, handle: s.Process, started: s.Started, tail: logs.NewRing(tailLines, tailBytes),
		asked: s.Asked, online: s.Online, ready: s.Ready, waiting: s.Waiting, unacked: s.Unacked, stopSent: s.StopSent, killed: s.Killed,
		status: s.Status, keys: map[string]*listener{}, asking: map[string]nodeipc.Query{}, rescued: map[int64]*rescue{}, readers: make(chan struct{}),
	}
	w.phase, w.since, w.inspectPort, w.drained = s.Phase, s.Since, s.Inspect, s.Drained
	w.begun = s.Begun
	w.tail.Refill(s.Tail)
	w.stdout, w.stderr = openPipe(s.Output[0]), openPipe(s.Output[1])
	w.severed = s.Severed
	if s.Channel >= 0 {
		conn, err := nodeipc.New(s.Channel, nodeipc.Options{State: s.Business})
		if err != nil {
			m.log.Error("channel lost", logs.KeyWorker, s.ID, keyError, err)
		} else {
			w.conn = conn
		}
	}
	if s.Notify >= 0 {
		socket, err := notify.Adopt(s.Notify, m.notifyPath(s.ID))
		if err != nil {
			m.log.Error("notify socket lost", logs.KeyWorker, s.ID, keyError, err)
		} else {
			w.notify = socket
		}
	}
	if s.Notify < 0 && s.Reopen {
		m.reopenNotify(w)
	}
	m.workers[w.id] = w
	return w
}

// reopenNotify listens again where a worker sends to, and nobody has listened since the end of the former master.
func (m *Master) reopenNotify(w *worker) {
	socket, err := notify.Listen(m.notifyPath(w.id))
	if err == nil {
		w.notify = socket
		err = m.letNotify(w)
	}
	if err != nil {
		m.log.Error("notify socket lost", logs.KeyWorker, w.id, keyError, err)
	}
}

// openPipe is the read end of a worker's stream, or of an empty one.
func openPipe(fd int) *logs.Reader {
	if fd >= 0 {
		return logs.NewReader(fd)
	}
	return nil
}

func (m *Master) reviveKeys(w *worker) {
	saved := m.savedWorker(w.id)
	for key, index := range saved.Keys {
		w.keys[key] = m.listeners[index]
	}
	for seq, r := range saved.Rescued {
		w.rescued[seq] = m.reviveRescue(r)
	}
}

func (m *Master) savedWorker(id lifecycle.WorkerID) *savedWorker {
	for i := range m.revived.Workers {
		if m.revived.Workers[i].ID == id {
			return &m.revived.Workers[i]
		}
	}
	return &savedWorker{}
}

func (m *Master) reviveRescues() {
	for _, r := range m.revived.Waiting {
		m.rescue.waiting = append(m.rescue.waiting, m.reviveRescue(r))
	}
}

func (m *Master) reviveRescue(s savedRescue) *rescue {
	return &rescue{fd: s.FD, listener: m.listeners[s.Listener], from: s.From, refused: s.Refused}
}

// resume starts what reads the workers again, and handles what the snapshot found unhandled.
func (m *Master) resume() {
	for _, saved := range m.revived.Workers {
		w := m.workers[saved.ID]
		if saved.Ended != nil {
			w.end = &ending{exit: *saved.Ended, done: make(chan struct{})}
			close(w.end.done)
		}
		m.readStreams(w)
		for _, e := range saved.Unheard {
			if event, err := e.event(); err == nil {
				m.later(func() { m.channelEvent(w, event) })
			}
		}
		for _, msg := range saved.Unnoticed {
			m.later(func() { m.notified(w, msg) })
		}
		if w.ready {
			m.watchMemory(w)
			m.later(func() { m.senseAnew(w) })
		}
		if !w.ready && w.process != nil {
			m.later(func() { m.senseAgain(w) })
		}
		if w.conn == nil && m.cfg.hasChannel() {
			m.later(func() { m.channelGone(w) })
		}
	}
	m.revived = nil
	m.resumeControl()
}

func (m *Master) senseAgain(w *worker) {
	if m.workers[w.id] == w && !w.ready {
		m.senseReady(w)
	}
}
