package master

import (
	"os"
	"slices"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
)

// isReady tells whether requests should be sent to the app.
func (m *Master) isReady() bool { return !m.state.Stopping && (m.cfg.App.Job || m.serving() > 0) }

// serving counts the wanted slots that are served.
func (m *Master) serving() int {
	return m.countServed(0, func(lifecycle.Generation) bool { return true })
}

// countServed counts the wanted slots from the first on whose newest serving worker is of a generation that counts. One pass: there may be
// a thousand.
func (m *Master) countServed(first int, counts func(lifecycle.Generation) bool) int {
	gens := make([]lifecycle.Generation, m.state.Want)
	for i := range m.state.Workers { // the newest last
		if w := &m.state.Workers[i]; w.Phase == lifecycle.Serving && w.Slot >= first && w.Slot < len(gens) {
			gens[w.Slot] = w.Gen
		}
	}
	n := 0
	for _, gen := range gens {
		if gen != 0 && counts(gen) {
			n++
		}
	}
	return n
}

// describeApp is everything about the app now. Nothing in it is changed later.
func (m *Master) describeApp() api.App {
	c := &m.control.memory
	a := api.App{
		Name: m.cfg.App.Name, PID: os.Getpid(), Version: m.cfg.Version, Started: c.Started, Dir: m.cfg.Base, Revision: c.Revision,
		State: m.appState(), Generation: uint64(m.state.Gen), Previous: uint64(c.Previous), Spec: m.cfg.App.Spec,
		Command: m.cfg.Argv, Kind: m.cfg.Kind, Handoff: string(m.cfg.Handoff), Balance: string(m.balance), BalanceWhy: m.cfg.balanceWhy(),
		Workers: m.state.Want, Serving: m.serving(), Rescued: m.rescue.total, Rescuing: len(m.rescue.waiting), HoldUntil: future(m.state.HoldUntil),
		Listeners: m.describeListeners(), Spares: m.describeWorkers(lifecycle.NoSlot), SpareExits: slices.Clone(c.Exits[lifecycle.NoSlot]),
		Operations: m.describeOperations(), Logs: m.describeLogs(), Limits: m.describeLimits(), Refused: slices.Clone(m.refused),
	}
	m.describeCalendar(&a)
	if r := m.state.Rollout; r != nil {
		a.Rolling = uint64(r.To)
	}
	for slot := range m.state.Slots {
		a.Slots = append(a.Slots, m.describeSlot(slot))
		a.Respawns += m.state.Slots[slot].Respawns
		a.Hangs += m.state.Slots[slot].Hangs
	}
	return a
}

func (m *Master) appState() api.AppState {
	serving := m.serving()
	switch {
	case m.cfg.App.Job && !m.state.Stopping:
		return m.jobState()
	case m.state.Stopping || m.state.Ended:
		return api.AppStopping
	case serving == m.state.Want:
		return api.AppServing
	case !m.control.memory.Served:
		return api.AppStarting
	case serving > 0:
		return api.AppDegraded
	}
	return api.AppDown
}

func (m *Master) describeOperations() []api.Operation {
	ops := make([]api.Operation, 0, len(m.control.memory.Operations))
	for _, op := range m.control.memory.Operations {
		ops = append(ops, *op)
	}
	return ops
}

func (m *Master) describeListeners() []api.Listener {
	all := make([]api.Listener, 0, len(m.listeners))
	for _, l := range m.listeners {
		d := api.Listener{
			Name: l.Name, Network: l.Network, Address: l.Address(), Declared: l.declared, Shared: l.shared, Closed: l.closed, Sockets: len(l.sockets),
		}
		for slot := range l.sockets {
			d.Waiting += l.waiting(slot)
		}
		all = append(all, d)
	}
	return all
}

// waiting counts the connections in one of the listener's queues.
func (l *listener) waiting(i int) int {
	if l.closed || !l.stream() || i >= len(l.sockets) {
		return 0
	}
	n, err := queue{l.sockets[i]}.Length()
	if err != nil {
		return 0 // it cannot be known here
	}
	return n
}

func (m *Master) describeSlot(slot int) api.Slot {
	s := m.state.Slots[slot]
	d := api.Slot{
		Slot: slot, Workers: m.describeWorkers(slot), Respawns: s.Respawns, Hangs: s.Hangs, Failures: s.Failures, GaveUp: s.GaveUp,
		CrashLooping: s.CrashLooping(), NextSpawn: future(s.NextSpawn), Exits: append([]api.Exit{}, m.control.memory.Exits[slot]...),
	}
	for _, l := range m.listeners {
		if !l.shared {
			d.Waiting += l.waiting(slot)
		}
	}
	d.State = m.slotState(slot, d)
	return d
}

// future leaves out moments that have passed.
func future(at time.Time) time.Time {
	if at.After(time.Now()) {
		return at
	}
	return time.Time{}
}

func (m *Master) slotState(slot int, d api.Slot) api.SlotState {
	serving := m.state.ServingIn(slot)
	isStarting := func(w api.Worker) bool { return w.Phase == string(lifecycle.Starting) }
	switch {
	case slot >= m.state.Want || m.state.Stopping:
		return api.SlotClosing
	case serving != nil && m.workers[serving.ID] != nil && m.workers[serving.ID].isDeaf():
		return api.SlotBlocked
	case serving != nil:
		return api.SlotServing
	case d.GaveUp:
		return api.SlotGaveUp
	case d.CrashLooping:
		return api.SlotCrashLoop
	case slices.ContainsFunc(d.Workers, isStarting):
		return api.SlotStarting
	case d.Failures > 0:
		return api.SlotBackingOff
	}
	return api.SlotEmpty
}

func (m *Master) describeWorkers(slot int) []api.Worker {
	all := []api.Worker{}
	for i := range m.state.Workers {
		if k := &m.state.Workers[i]; k.Slot == slot {
			all = append(all, m.describeWorker(k))
		}
	}
	return all
}

func (m *Master) describeWorker(k *lifecycle.Worker) api.Worker {
	d := api.Worker{
		ID: uint64(k.ID), Slot: k.Slot, Generation: uint64(k.Gen), Phase: string(k.Phase), Reason: string(k.Reason), Recycling: k.RecycleAs, ReadyAt: k.ReadyAt, KillAt: k.KillAt,
	}
	w := m.workers[k.ID]
	if w == nil {
		return d
	}
	d.PID, d.Started, d.Since, d.Status = w.pid(), w.started, w.since, w.status
	d.Memory = w.memory.used
	m.describeSenses(&d, k, w)
	switch {
	case w.blocked:
		d.BlockedSince = w.blockedAt
	case w.silent:
		d.BlockedSince = w.silentAt
	}
	return d
}

// balanceWhy says in a sentence why connections are spread as they are.
func (c Config) balanceWhy() string {
	switch {
	case c.App.Balance != app.BalanceAuto && c.App.Balance != "":
		return "chosen by --balance"
	case c.speaksNode():
		return "each worker has a queue of its own, and what waits in that of a blocked worker is given to others over their channels"
	default:
		return "workers of this hand-off cannot be given what waits for another, so they all take from one queue"
	}
}
