package master

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
)

// of is what a worker was started by: each generation has a Config of its own, so that a slot which has to be filled again while a reload
// runs gets what its generation is.
func (m *Master) of(w *worker) *Config { return m.configOf(w.gen) }

func (m *Master) configOf(gen lifecycle.Generation) *Config {
	if cfg, ok := m.control.memory.Configs[gen]; ok {
		return &cfg
	}
	return &m.cfg
}

// resolve reads the app's files again, as cfg says. It may take its time: not in the loop.
func resolve(cfg Config) (Config, error) {
	if cfg.Reload == nil {
		return cfg, nil
	}
	return cfg.Reload(cfg)
}

// roll replaces the workers by those of a new generation, which is what cfg says. Where unresolved says why there is none, or cfg asks for
// what a reload cannot do, nothing happens. A reload waits for a hook that runs, and for one of its own.
func (m *Master) roll(kind api.OperationKind, cfg Config, unresolved error) *api.Operation {
	op := m.begin(kind)
	switch {
	case unresolved != nil || kind == api.OperationRollback:
		m.introduceChecked(op, cfg, unresolved)
	case m.state.Stopping || cfg.App.BeforeReload == "":
		m.inTurn(op, func() { m.introduceChecked(op, cfg, nil) })
	case m.upgrading: // the next program would not know of a hook
		m.refuseOperation(op, errUpgrading)
	default:
		m.inTurn(op, func() {
			if err := m.changeable(cfg); err != nil {
				m.refuseOperation(op, err)
				return
			}
			m.beforeReload(op, cfg)
		})
	}
	m.persist()
	return op
}

func (m *Master) refuseOperation(op *api.Operation, why error) {
	m.log.Error("reload refused", keyOp, op.ID, keyReason, why)
	m.fail(op, why.Error(), apiserver.HintOf(why))
}

// introduceChecked begins with a generation that may be one.
func (m *Master) introduceChecked(op *api.Operation, cfg Config, unresolved error) {
	if unresolved == nil {
		unresolved = m.changeable(cfg)
	}
	if unresolved == nil {
		m.refused = nil // the new workers tell anew
		unresolved = m.openGroups(&cfg)
	}
	if unresolved != nil {
		m.refuseOperation(op, unresolved)
		return
	}
	text := "reloading"
	if op.Kind == api.OperationRollback {
		text = "rolling back"
	}
	m.log.Info(text, keyOp, op.ID)
	m.introduce(op, cfg)
}

// introduce gives the new generation its Config before the core asks for workers of it.
func (m *Master) introduce(op *api.Operation, cfg Config) {
	old := m.configOf(m.state.Gen).Workers
	gen := m.state.LastGen + 1
	op.Generation, op.Total = uint64(gen), m.state.Want
	m.limitAll(widest(m.cfg.App.Together, cfg.App.Together))
	m.control.memory.Configs[gen] = cfg
	if !m.state.Stopping {
		m.state.Policy = policy(cfg).WithDefaults()
		m.beginPings()
	}
	m.tell(op)
	m.step(lifecycle.Reload{Op: numberOf(op)})
	if cfg.Workers != old && m.state.Rollout != nil {
		m.resize(cfg.Workers)
	}
}

// changeable tells what a running master cannot change, if cfg would.
func (m *Master) changeable(cfg Config) error {
	change := func(field, what, from, to string) error {
		return &app.Error{
			Field: field, Value: to, Reason: fmt.Sprintf("%s cannot change while the app runs (it is %s)", what, from), Hint: "stop the app and start it again",
		}
	}
	if err := m.staysJob(cfg.App); err != nil {
		return err
	}
	from, to := listenLines(m.cfg.App), listenLines(cfg.App)
	switch {
	case cfg.App.Name != m.cfg.App.Name:
		return change("name", "the name", m.cfg.App.Name, cfg.App.Name)
	case cfg.Handoff != m.cfg.Handoff:
		return change("handoff", "the hand-off", string(m.cfg.Handoff), string(cfg.Handoff))
	case cfg.balance() != m.cfg.balance():
		return change("balance", "the balance", string(m.cfg.balance()), string(cfg.balance()))
	case !logsAs(cfg.App, m.cfg.App):
		return &app.Error{Reason: "where and how the app logs cannot change while it runs", Hint: "stop the app and start it again"}
	case cfg.switches() && !m.run.IsShared():
		return change("user", "the user of the workers", "that of muster", cfg.App.User)
	case socketsAs(cfg.App) != socketsAs(m.cfg.App):
		return &app.Error{Reason: "mode, owner and group of the sockets cannot change while the app runs", Hint: "stop the app and start it again"}
	case from != to:
		return change("listen", "the listeners", from, to)
	}
	return nil
}

func socketsAs(a app.App) [3]string { return [3]string{a.ListenMode, a.ListenOwner, a.ListenGroup} }

func listenLines(a app.App) string {
	lines := make([]string, len(a.Listeners))
	for i, l := range a.Listeners {
		lines[i] = l.Name + "=" + l.Address()
	}
	return strings.Join(lines, " ")
}

// rollback brings back what the last reload has replaced, or what the one under way is replacing.
func (m *Master) rollback() outcome {
	to := m.control.memory.Previous
	if m.dropHooked("a rollback took its place") || m.state.Rollout != nil {
		to = m.state.Gen
	}
	cfg, ok := m.control.memory.Configs[to]
	if !ok {
		return outcome{err: &api.Error{
			Kind: api.KindConflict, Message: "there is no generation to go back to", Hint: "a rollback undoes the last reload of this master",
		}}
	}
	return outcome{op: *m.roll(api.OperationRollback, cfg, nil)}
}

// lastAccepts is how long an operation waits for old workers to stop accepting, where they cannot tell that they have.
const lastAccepts = 2 * time.Second

// reloaded notes that a generation has proved itself in every slot. The operation ends when no connection goes to an old worker any more.
func (m *Master) reloaded(a lifecycle.Announce) {
	c := &m.control.memory
	if op := m.operation(a.Op); op != nil {
		m.after(lastAccepts, func() { m.endReload(op) })
	}
	c.Previous, c.Good = c.Good, m.state.Gen
	m.cfg = *m.configOf(c.Good)
	m.limitAll(m.cfg.App.Together)
	m.forgetConfigs()
	m.openWatch()
}

// othersAccept tells whether a worker of another generation may still take connections: it lives, and has not closed its listeners.
func (m *Master) othersAccept(gen lifecycle.Generation) bool {
	for i := range m.state.Workers {
		k := &m.state.Workers[i]
		w := m.workers[k.ID]
		if k.Gen == gen || k.Slot == lifecycle.NoSlot || w == nil {
			continue
		}
		if !m.cfg.speaksNode() || len(w.keys) > 0 {
			return true
		}
	}
	return false
}

// reloadFailed returns to the policy of the generation that stays, unless the next one is on its way already.
func (m *Master) reloadFailed(a lifecycle.Announce) {
	if op := m.operation(a.Op); op != nil {
		op.Worker, op.Stderr = uint64(a.Worker), m.lastLines(a.Worker)
		m.fail(op, a.Why, "the last good generation stays")
	}
	if m.state.Rollout == nil {
		m.state.Policy = policy(*m.configOf(m.state.Gen)).WithDefaults()
		m.beginPings()
		m.limitAll(m.configOf(m.state.Gen).App.Together)
	}
	m.forgetConfigs()
}

// forgetConfigs drops the Configs that no worker will be started by any more.
func (m *Master) forgetConfigs() {
	c := &m.control.memory
	for gen := range c.Configs {
		inUse := gen == c.Good || gen == c.Previous || m.state.Rollout != nil && gen == m.state.Rollout.To
		inUse = inUse || slices.ContainsFunc(m.state.Workers, func(w lifecycle.Worker) bool { return w.Gen == gen })
		if !inUse {
			delete(c.Configs, gen)
		}
	}
}

// scaleTo changes the number of slots to what text says: absolute, or relative to what is wanted now with + or -.
func (m *Master) scaleTo(text string) outcome {
	want, err := m.workersOf(text)
	switch {
	case err != nil:
		return outcome{err: err}
	case m.state.Stopping:
		return outcome{err: &api.Error{Kind: api.KindConflict, Message: "the app is being stopped"}}
	case m.cfg.App.Singleton && want != 1:
		return outcome{err: &api.Error{Kind: api.KindConflict, Message: "a singleton has one worker, and never two at a time", Hint: "start it without --singleton"}}
	case m.cfg.App.Job:
		return outcome{err: &api.Error{Kind: api.KindConflict, Message: "a job has one worker, while it runs", Hint: "--overlap says what happens to a run that is due during another"}}
	}
	return outcome{op: *m.resize(want)}
}

func (m *Master) workersOf(text string) (int, error) {
	if text == "" || !strings.ContainsAny(text[:1], "+-") {
		return app.ParseWorkers(text, m.cfg.CPUs)
	}
	by, err := strconv.Atoi(text)
	want := m.state.Want + by
	switch {
	case err != nil:
		return 0, scaleError(text, "is not a number of workers")
	case want < 1:
		return 0, scaleError(text, fmt.Sprintf("of %d workers none would be left", m.state.Want))
	case want > app.MaxWorkers:
		return 0, scaleError(text, "would be more than "+strconv.Itoa(app.MaxWorkers))
	}
	return want, nil
}

func scaleError(text, why string) error {
	return &app.Error{Field: "workers", Value: text, Reason: why, Hint: "write N, max, 50%, +1 or -1; to end the app: muster stop"}
}

// resize changes the number of slots.
func (m *Master) resize(want int) *api.Operation {
	if old := m.running(api.OperationScale); old != nil {
		m.fail(old, "another scale took its place", "")
	}
	op := m.begin(api.OperationScale)
	op.From, op.Workers, op.Total = m.state.Want, want, max(want-m.state.Want, 0)
	if want <= m.state.Want { // slots that an earlier scale has not closed yet count
		op.Total = len(m.state.Slots) - want
	}
	m.log.Info("scaling", keyOp, op.ID, keyFrom, m.state.Want, keyTo, want)
	m.publish(api.Event{Kind: api.EventScaled, Slot: api.NoSlot, Why: fmt.Sprintf("%d to %d workers", m.state.Want, want)})
	m.tell(op)
	m.step(lifecycle.Scale{Want: want})
	return op
}

// beginUpgrade asks for the upgrade. The end of the operation is told by the binary that goes on.
func (m *Master) beginUpgrade() outcome {
	if m.upgrading || m.state.Stopping {
		return outcome{err: &api.Error{Kind: api.KindConflict, Message: "the app is being stopped, or another upgrade is under way"}}
	}
	if err := m.refuseUpgrade(); err != nil {
		return outcome{err: err}
	}
	op := m.begin(api.OperationUpgrade)
	m.tell(op)
	m.persist() // no step of the core follows that would
	m.upgrade()
	return outcome{op: *op}
}

// upgraded ends the operation that the former binary has begun.
func (m *Master) upgraded() {
	if op := m.running(api.OperationUpgrade); op != nil {
		m.succeed(op)
	}
}
