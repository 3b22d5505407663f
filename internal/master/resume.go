package master

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/fdstore"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/proc"
)

// revisionGap is how far the events of a successor are ahead: the former master may have told some after it last kept its state.
const revisionGap = 10000

// Resume goes on with the workers of a master that was killed: names are those of the descriptors from first on, as the store has given
// them. Of cfg counts what does not come from the former master: how it is to reload, its version, Opened and Finish. The error tells that there
// is nothing to go on with: the workers are ended, the descriptors closed, and the store is empty. Otherwise it is Run.
func Resume(ctx context.Context, names []string, first int, cfg Config) (int, error) {
	signals := catchSignals()
	defer signal.Stop(signals)
	g := given{}
	for i, name := range names {
		unix.CloseOnExec(first + i)
		g[name] = append(g[name], first+i)
	}
	defer g.closeRest()
	processes := g.processes()
	defer closeProcesses(processes)
	s, number, err := g.snapshot(processes)
	if err == nil {
		if s.Folder.Lock = g.take(nameLock); s.Folder.Lock < 0 {
			err = s.Folder.Retake()
		}
	}
	if err != nil {
		disown(names, processes)
		return 1, fmt.Errorf("go on with the workers of a master that was killed: %w", err)
	}
	m, err := succeed(s, number, g, processes, g.box(), cfg.adapt)
	if err != nil {
		return 1, err
	}
	return m.runFor(ctx, cfg, signals)
}

// box is the app's box, if it was given.
func (g given) box() *fdstore.Box {
	fd := g.take(nameBox)
	if fd < 0 {
		return nil
	}
	box, content, err := fdstore.OpenBox(fd)
	if err != nil {
		return nil
	}
	for _, k := range content { // the store has given the same
		closeFD(k.FD)
	}
	return box
}

// succeed makes the master that goes on from a snapshot whose descriptors are filled in. Those that it has no use for stay in g and processes.
func succeed(s *snapshot, number uint64, g given, processes map[lifecycle.WorkerID]proc.Handle, box *fdstore.Box, adapt func(Config) Config) (*Master, error) {
	s.Config = adapted(s.Config, adapt)
	for gen, cfg := range s.Memory.Configs {
		s.Memory.Configs[gen] = adapted(cfg, adapt)
	}
	s.Memory.Revision += revisionGap
	m, err := revive(s, nil)
	if err != nil {
		return nil, err
	}
	m.kept.number, m.kept.stale, m.kept.box = number, g.pageNames(), box
	m.openStore()
	m.later(func() { m.reconcile(s) })
	m.strangers(processes)
	m.beFound()
	return m, nil
}

// beFound lets clients find this process, on the socket of the former master if that has lived.
func (m *Master) beFound() {
	if m.control.socket >= 0 {
		m.keepPublished()
		return
	}
	if err := m.openControl(); err != nil {
		m.log.Error("commands do not find this master", keyError, err)
	}
}

// snapshot is the state of the former master, with the descriptors that it has left.
func (g given) snapshot(processes map[lifecycle.WorkerID]proc.Handle) (*snapshot, uint64, error) {
	text, number, err := fdstore.ReadPages(g.pages())
	if err != nil {
		return nil, 0, err
	}
	s, err := readSnapshot(text)
	if err != nil {
		return nil, 0, err
	}
	return s, number, s.fill(g, processes)
}

// disown ends workers that nobody can go on with, and has what was kept of them forgotten, so that the next master starts anew.
func disown(names []string, processes map[lifecycle.WorkerID]proc.Handle) {
	for _, h := range processes {
		if p, err := proc.Adopt(proc.Handle{PID: h.PID, PIDFD: dup(h.PIDFD), Token: h.Token}); err == nil {
			_ = p.SignalGroup(unix.SIGKILL)
			_ = p.Close()
		}
	}
	store := fdstore.NewClient(os.Getenv("NOTIFY_SOCKET"))
	for _, name := range names {
		_ = store.Remove(name) // what it does not know it does not keep
	}
}

func adapted(cfg Config, adapt func(Config) Config) Config {
	cfg.Stdout, cfg.Stderr = os.Stdout, os.Stderr
	return adapt(cfg)
}

func closeProcesses(processes map[lifecycle.WorkerID]proc.Handle) {
	for _, h := range processes {
		closeFD(h.PIDFD)
	}
}

// fill puts the descriptors that were given in the place of the numbers that they had in the former master. It takes the processes that it
// uses out of the map.
func (s *snapshot) fill(g given, processes map[lifecycle.WorkerID]proc.Handle) error {
	s.Control = g.take(nameControl)
	if s.Control >= 0 { // the kernel tells who connects the process that has called listen last
		if err := unix.Listen(s.Control, unix.SOMAXCONN); err != nil {
			return fmt.Errorf("listen on the control socket: %w", err)
		}
	}
	for i := range s.Listeners {
		if err := s.Listeners[i].fill(g, i); err != nil {
			return err
		}
		if !s.Listeners[i].Closed && !s.Listeners[i].Shared {
			s.Slots = max(s.Slots, len(s.Listeners[i].Sockets))
		}
	}
	s.Waiting = nil
	var living []savedWorker
	for _, w := range s.Workers {
		h, lives := processes[w.ID]
		if !lives && w.Process.PID == 0 { // see redoStarts
			continue
		}
		w.Process.PIDFD = -1
		if lives {
			w.Process = h
			delete(processes, w.ID)
		} else if w.Ended == nil { // nobody has seen it
			proc.KillByVariable(proc.TokenVariable, w.Process.Token)
			w.Ended = &proc.Exit{}
		}
		w.fill(g)
		living = append(living, w)
	}
	s.Workers = living
	return nil
}

func (l *savedListener) fill(g given, i int) error {
	if !l.Closed && !l.Declared && len(g[nameSocket(i, 0)]) == 0 { // it was being forsaken
		l.Closed, l.Sockets = true, nil
	}
	if l.Closed {
		return nil
	}
	for j := range l.Sockets {
		if l.Sockets[j] = g.take(nameSocket(i, j)); l.Sockets[j] < 0 {
			return fmt.Errorf("the former master has left no socket %d of listener %s", j, l.Name)
		}
	}
	for fd := g.take(nameSocket(i, len(l.Sockets))); fd >= 0; fd = g.take(nameSocket(i, len(l.Sockets))) {
		l.Sockets = append(l.Sockets, fd) // of a slot that had just been opened
	}
	if l.Steering != nil {
		l.Steering.Slots, l.Steering.Buckets = g.take(nameMap(i, "slots")), g.take(nameMap(i, "buckets"))
		if l.Steering.Slots < 0 || l.Steering.Buckets < 0 {
			l.Steering = nil
		}
	}
	return nil
}

func (w *savedWorker) fill(g given) {
	w.Channel, w.Notify = g.take(nameWorker(w.ID, partChannel)), g.take(nameWorker(w.ID, partNotify))
	w.Output = [2]int{g.take(nameWorker(w.ID, partStdout)), g.take(nameWorker(w.ID, partStderr))}
	w.Severed, w.Reopen = w.Ended == nil && w.Output[0] < 0 && w.Output[1] < 0, w.Ended == nil
	w.Rescued, w.Unacked = nil, 0 // what was on its way is not known any more
}

// pageNames are the names of the former master's pages.
func (g given) pageNames() []string {
	var names []string
	for name := range g {
		if HasState([]string{name}) {
			names = append(names, name)
		}
	}
	return names
}

// strangers ends workers that the former master had started, and that its state does not know.
func (m *Master) strangers(processes map[lifecycle.WorkerID]proc.Handle) {
	for id, h := range processes {
		delete(processes, id)
		p, err := proc.Adopt(h)
		if err != nil {
			closeFD(h.PIDFD)
			continue
		}
		_ = p.SignalGroup(unix.SIGKILL)
		go func() { // ends with the process, which was killed
			p.Wait()
			_ = p.Close()
		}()
	}
}

// reconcile does what the former master had decided and may not have done: its state is kept before effects are carried out.
func (m *Master) reconcile(s *snapshot) {
	m.log.Info("goes on with the workers of a master that was killed", keyWorkers, len(s.Workers))
	for slot := range m.state.Slots {
		m.openSlot(slot)
	}
	for _, l := range m.listeners {
		m.weigh(l)
	}
	for _, w := range s.Workers {
		m.redo(m.workers[w.ID])
	}
	m.redoStarts()
	m.sweepGroups()
	m.redoOperations()
	m.redoEnd()
}

// redoEnd ends a master whose app has ended.
func (m *Master) redoEnd() {
	switch {
	case !m.state.Ended || m.ended:
	case m.state.Stopping:
		m.announce(lifecycle.Announce{News: lifecycle.NewsStopped, Slot: lifecycle.NoSlot})
	case m.cfg.App.Once():
		m.announce(lifecycle.Announce{News: lifecycle.NewsCompleted, Slot: lifecycle.NoSlot})
	default:
		m.announce(lifecycle.Announce{News: lifecycle.NewsAppGaveUp, Slot: lifecycle.NoSlot})
	}
}

// redo carries out what the phase of a worker asks for.
func (m *Master) redo(w *worker) {
	if w == nil {
		return
	}
	k := m.state.Worker(w.id)
	switch {
	case k == nil:
		w.kill()
		return
	case w.severed && w.process != nil && !w.process.Ended():
		m.replaceSevered(w)
		return
	case w.process != nil && !k.Spawned:
		w.started = time.Now()
		m.later(func() {
			m.step(lifecycle.Spawned{Worker: w.id})
			m.handOff(w)
		})
	case k.Slot != lifecycle.NoSlot && w.slot == lifecycle.NoSlot:
		m.promote(w, k.Slot)
	case k.Phase == lifecycle.Draining && !w.drained:
		m.drain(w)
	case k.Phase == lifecycle.Killing:
		w.kill()
	}
	m.doubt(w)
}

// replaceSevered has a worker replaced whose output or channel was lost with the former master: what it writes ends it, or is lost. One that
// serves goes on until another does.
func (m *Master) replaceSevered(w *worker) {
	m.log.Warn("worker is replaced: what it wrote to was lost with the former master", logs.KeySlot, w.slot, logs.KeyWorker, w.id, logs.KeyPID, w.handle.PID)
	if !w.ready {
		w.lose()
		return
	}
	m.step(lifecycle.Recycle{Worker: w.id, Why: whySevered, Hard: true})
}

const whySevered = "its output or channel was lost"

// redoStarts tells the core of workers whose start the former master did not finish. A process that was being started has ended with it,
// or is ended now.
func (m *Master) redoStarts() {
	m.endHalfStarted()
	for _, k := range append([]lifecycle.Worker(nil), m.state.Workers...) {
		if m.workers[k.ID] != nil {
			continue
		}
		proc.KillByVariable("NOTIFY_SOCKET", m.notifyPath(k.ID))
		_ = os.Remove(m.notifyPath(k.ID))
		m.step(lifecycle.SpawnFailed{Worker: k.ID, Why: "the master was killed while it was being started", Lost: true})
	}
}

// endHalfStarted ends the processes that were to become workers and are nobody's.
func (m *Master) endHalfStarted() {
	for _, r := range workerRecords(m.run.Private()) {
		if m.workers[r.Worker] != nil {
			continue
		}
		if p, _ := killRecorded(r); p != nil {
			go func() { // ends with the process, which was killed
				p.Wait()
				_ = p.Close()
			}()
		}
		m.unrecordWorker(r.Worker)
	}
}

// redoOperations ends the operations whose end the former master did not tell.
func (m *Master) redoOperations() {
	m.redoHook()
	for i, slot := range m.state.Slots {
		if slot.GaveUp || slot.CrashLooping() {
			m.slotFailing(i, "fails again and again")
		}
	}
	if m.state.Rollout != nil {
		return
	}
	op := m.running(api.OperationReload, api.OperationRollback)
	if c := &m.control.memory; m.state.Gen != c.Good {
		number := uint64(0)
		if op != nil {
			number = numberOf(op)
		}
		m.reloaded(lifecycle.Announce{Op: number})
		return
	}
	switch {
	case op == nil:
	case op.Generation > 0 && lifecycle.Generation(op.Generation) <= m.state.Gen: // it was only to be told
		m.after(lastAccepts, func() { m.endReload(op) })
	default:
		m.reloadFailed(lifecycle.Announce{Op: numberOf(op), Why: "the master was killed meanwhile"})
	}
	if op := m.running(api.OperationUpgrade); op != nil {
		m.fail(op, "the master was killed meanwhile", "try again")
	}
}
