package master

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
)

// keptOperations is how many operations are remembered.
const keptOperations = 50

// begin notes that something was asked for.
func (m *Master) begin(kind api.OperationKind) *api.Operation {
	m.ops++
	op := &api.Operation{ID: strconv.FormatUint(m.ops, 10), Kind: kind, State: api.OperationRunning, Started: time.Now()}
	all := append(m.control.memory.Operations, op)
	m.control.memory.Operations = all[max(0, len(all)-keptOperations):]
	return op
}

// operation finds one that is remembered, or nil.
func (m *Master) operation(id uint64) *api.Operation {
	for _, op := range m.control.memory.Operations {
		if op.ID == strconv.FormatUint(id, 10) {
			return op
		}
	}
	return nil
}

// numberOf is the reverse of what begin makes of a number.
func numberOf(op *api.Operation) uint64 {
	number, _ := strconv.ParseUint(op.ID, 10, 64)
	return number
}

// running is the newest operation of those kinds that has not ended, or nil.
func (m *Master) running(kinds ...api.OperationKind) *api.Operation {
	var found *api.Operation
	for _, op := range m.control.memory.Operations {
		for _, kind := range kinds {
			if op.Kind == kind && op.State == api.OperationRunning {
				found = op
			}
		}
	}
	return found
}

// tell publishes where an operation stands.
func (m *Master) tell(op *api.Operation) {
	now := *op
	m.publish(api.Event{Kind: api.EventOperation, Slot: api.NoSlot, Operation: &now, Generation: op.Generation})
}

// succeed ends an operation well.
func (m *Master) succeed(op *api.Operation) {
	if op.State == api.OperationRunning {
		op.State, op.Done = api.OperationDone, op.Total
		m.finish(op)
	}
}

// fail ends an operation that has not reached its aim.
func (m *Master) fail(op *api.Operation, why, hint string) {
	if op.State == api.OperationRunning {
		op.State, op.Reason, op.Hint = api.OperationFailed, why, hint
		m.finish(op)
	}
}

func (m *Master) finish(op *api.Operation) {
	op.Ended = time.Now()
	m.tell(op)
	id := numberOf(op)
	for _, waiter := range m.control.waiters[id] {
		waiter <- *op // each has room for one
	}
	delete(m.control.waiters, id)
	m.later(m.lookAtCalendar) // what it has postponed
}

// following is an operation as it is, and where its end will be told.
type following struct {
	op   api.Operation
	err  error
	ends chan api.Operation
}

// follow begins to wait for the end of an operation.
func (m *Master) follow(id uint64) following {
	op := m.operation(id)
	if op == nil {
		return following{err: &api.Error{
			Kind: api.KindNotFound, Message: "there is no such operation", Hint: fmt.Sprintf("the last %d are remembered", keptOperations),
		}}
	}
	f := following{op: *op, ends: make(chan api.Operation, 1)}
	if op.State == api.OperationRunning && m.control.halted {
		f.ends <- f.op
	} else if op.State == api.OperationRunning {
		m.control.waiters[id] = append(m.control.waiters[id], f.ends)
	}
	return f
}

// awaitEnd waits beside the loop for the end of the operation, at most so long, and returns it as it then is.
func (m *Master) awaitEnd(ctx context.Context, f following, atMost time.Duration) (any, error) {
	if f.err != nil || f.op.State != api.OperationRunning || atMost <= 0 {
		return f.op, f.err
	}
	bound := time.NewTimer(atMost)
	defer bound.Stop()
	select {
	case op := <-f.ends:
		return op, nil
	case <-bound.C:
	case <-m.done:
	case <-m.frozen:
	case <-ctx.Done():
	}
	select {
	case op := <-f.ends: // the end of the app may have been what ended it
		return op, nil
	default:
		return f.op, nil
	}
}

// noteProgress looks, after each step of the core, what it means for the operations under way and for the workers' histories.
func (m *Master) noteProgress() {
	m.notePhases()
	for _, op := range m.control.memory.Operations {
		if op.State != api.OperationRunning {
			continue
		}
		done := op.Done
		switch op.Kind {
		case api.OperationReload, api.OperationRollback:
			m.noteReload(op, lifecycle.Generation(op.Generation))
		case api.OperationStop:
			op.Done = op.Total - len(m.state.Workers)
		case api.OperationScale:
			m.noteScale(op)
		case api.OperationUpgrade:
		}
		if op.State == api.OperationRunning && op.Done != done {
			m.tell(op)
		}
	}
	m.tellAbove()
}

// noteReload ends a reload when its generation is the good one, and no older worker takes connections.
func (m *Master) noteReload(op *api.Operation, gen lifecycle.Generation) {
	if gen == 0 { // a hook runs first
		return
	}
	op.Total, op.Done = m.state.Want, m.countServed(0, func(g lifecycle.Generation) bool { return g == gen })
	if m.state.Gen >= gen && !m.othersAccept(gen) {
		m.endReload(op)
	}
}

// noteScale ends a scale when the new slots are served, or the surplus ones are gone.
func (m *Master) noteScale(op *api.Operation) {
	if op.Workers <= op.From {
		op.Done = op.Total - max(0, len(m.state.Slots)-op.Workers)
	} else {
		op.Done = m.countServed(op.From, func(lifecycle.Generation) bool { return true })
	}
	if op.Done == op.Total {
		m.succeed(op)
	}
}

// notePhases remembers since when each worker is in its phase.
func (m *Master) notePhases() {
	for i := range m.state.Workers {
		k := &m.state.Workers[i]
		w := m.workers[k.ID]
		if w == nil || w.phase == k.Phase {
			continue
		}
		w.phase, w.since = k.Phase, time.Now()
		if k.Phase == lifecycle.Draining {
			m.publish(m.eventOf(api.EventDraining, w, string(k.Reason)))
		}
	}
}

// eventOf is an event about a worker.
func (m *Master) eventOf(kind api.EventKind, w *worker, reason string) api.Event {
	return api.Event{Kind: kind, Slot: w.slot, Worker: uint64(w.id), PID: w.pid(), Generation: uint64(w.gen), Reason: reason}
}

// pid is the worker's process, or zero as long as it has none.
func (w *worker) pid() int {
	if w.process == nil {
		return 0
	}
	return w.process.PID()
}

// abandon fails what the end of the app leaves undone.
func (m *Master) abandon(why string) {
	for _, op := range m.control.memory.Operations {
		if op.State == api.OperationRunning && op.Kind != api.OperationStop {
			m.fail(op, why, "")
		}
	}
}

// slotFailing ends a scale one of whose new slots does not come up. The slot is tried on.
func (m *Master) slotFailing(slot int, what string) {
	op := m.running(api.OperationScale)
	if op == nil || slot < op.From || slot >= op.Workers {
		return
	}
	why := fmt.Sprintf("slot %d %s", slot, what)
	if exits := m.control.memory.Exits[slot]; len(exits) > 0 {
		last := exits[len(exits)-1]
		why += ": " + last.Why
		op.Worker, op.Stderr = last.Worker, last.Stderr
	}
	m.fail(op, why, fmt.Sprintf("the other slots are as before; to take it back: muster scale %s %d", m.cfg.App.Name, op.From))
	m.log.Error("scale failed", keyOp, op.ID, logs.KeySlot, slot, keyReason, why)
}
