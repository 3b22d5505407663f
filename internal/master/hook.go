package master

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/stage"
)

// hooks are the commands of an app that run beside its reloads, each once per reload and one at a time:
//
//	reload asked for          new generation proved itself in every slot
//	  │ before_reload           │ after_reload
//	  ├─ fails: no reload       ├─ fails: the reload has, and the new workers stay
//	  └─ files are read, and the first new worker starts
//
// A rollback, an upgrade, a respawn and a scale run none.
type hooks struct {
	running *hook    // nil: none. It stays until what follows it has begun
	waiting []func() // reloads that were asked for, and hooks that were due, meanwhile
}

// hook is a command that runs, or is about to.
type hook struct {
	name    api.Hook
	op      *api.Operation
	process *proc.Process // nil until it runs
	tail    *logs.Ring    // of both streams
	early   string        // why it is being ended; empty: it is not
	hurry   bool          // and at once
	then    func(error)   // in the loop, at its end
}

// savedHook is what a successor has to know of a hook whose master was killed.
type savedHook struct {
	Name  api.Hook `json:"name"`
	Op    string   `json:"op"`
	Token string   `json:"token"` // value of hookVariable in its processes
}

// hookVariable marks the processes of a hook. The mark is written down before there is any.
const hookVariable = "MUSTER_HOOK_TOKEN"

// inTurn does what a hook that runs keeps waiting, unless the operation has ended meanwhile.
func (m *Master) inTurn(op *api.Operation, do func()) {
	turn := func() {
		if op.State == api.OperationRunning {
			do()
		}
	}
	if m.hooks.running == nil {
		turn()
		return
	}
	m.hooks.waiting = append(m.hooks.waiting, turn)
}

// next is the turn of who waits for the end of a hook.
func (m *Master) next() {
	m.hooks.running, m.control.memory.Hook = nil, nil
	for m.hooks.running == nil && len(m.hooks.waiting) > 0 {
		do := m.hooks.waiting[0]
		m.hooks.waiting = m.hooks.waiting[1:]
		do()
	}
	m.later(m.lookAtCalendar) // what could not begin meanwhile
}

// beforeReload runs the command that has to succeed before anything happens. What the reload brings is read again after it, because the
// command may be what makes it.
func (m *Master) beforeReload(op *api.Operation, cfg Config) {
	m.startHook(api.HookBeforeReload, op, cfg, func(err error) {
		if err != nil {
			m.fail(op, err.Error(), "nothing has happened: the workers are as before")
			m.next()
			return
		}
		m.resolveFrom(cfg, func(cfg Config, err error) {
			if op.State == api.OperationRunning {
				m.introduceChecked(op, cfg, err)
			}
			m.next()
		})
	})
}

// endReload ends a reload whose new workers serve: at once, or after its command.
func (m *Master) endReload(op *api.Operation) {
	cfg := *m.configOf(lifecycle.Generation(op.Generation))
	switch {
	case op.State != api.OperationRunning || op.Hook == api.HookAfterReload: // the command runs already, or will
	case op.Kind != api.OperationReload || cfg.App.AfterReload == "":
		m.succeed(op)
	case m.upgrading: // the next program looks at it again
	default:
		op.Hook = api.HookAfterReload
		m.inTurn(op, func() { m.afterReload(op, cfg) })
	}
}

func (m *Master) afterReload(op *api.Operation, cfg Config) {
	m.startHook(api.HookAfterReload, op, cfg, func(err error) {
		if err != nil {
			m.fail(op, err.Error(), "the new workers serve")
		}
		m.succeed(op)
		m.next()
	})
}

// startHook starts the command beside the loop. Its outcome goes to then, in the loop.
func (m *Master) startHook(name api.Hook, op *api.Operation, cfg Config, then func(error)) {
	h := &hook{name: name, op: op, tail: logs.NewRing(tailLines, tailBytes), then: then}
	m.hooks.running = h
	m.control.memory.Hook = &savedHook{Name: name, Op: op.ID, Token: rand.Text()}
	op.Hook = name
	m.tell(op)
	m.log.Info("hook began", keyHook, string(name), keyOp, op.ID)
	plan, readers, err := m.planHook(h, cfg)
	if err != nil {
		m.later(func() { m.hookEnded(h, err) })
		return
	}
	m.persist()
	m.spawning++
	m.wg.Go(func() { // ends with the hook
		process, err := m.spawner.Start(context.Background(), plan.spec)
		plan.release()
		m.post(func() {
			m.spawning--
			if err == nil {
				m.hookStarted(h, process, cfg)
			}
		})
		if err != nil {
			readers.close()
			m.post(func() { m.hookEnded(h, err) })
			return
		}
		m.awaitHook(h, process, readers, cfg.App.Name)
	})
}

// streams are the read ends of a hook's stdout and stderr.
type streams [2]*logs.Reader

func (s streams) close() { _ = errors.Join(s[0].Close(), s[1].Close()) }

// planHook makes a shell that runs the command as the worker of a slot would be run.
func (m *Master) planHook(h *hook, cfg Config) (*launchPlan, streams, error) {
	p := &launchPlan{}
	var read streams
	var err error
	for i, to := range []*int{&p.spec.Stdout, &p.spec.Stderr} {
		if err == nil {
			if read[i], *to, err = logs.Pipe(); err == nil {
				p.fds = append(p.fds, *to)
			}
		}
	}
	if err == nil {
		p.spec.Doc, err = m.hookDoc(h, cfg)
	}
	if err != nil {
		p.release()
		read.close()
		return nil, read, err
	}
	p.spec.Guard = m.guard
	return p, read, nil
}

func (m *Master) hookDoc(h *hook, cfg Config) (stage.Doc, error) {
	command := cfg.App.BeforeReload
	if h.name == api.HookAfterReload {
		command = cfg.App.AfterReload
	}
	// No successor takes it over: it ends with the master.
	doc := stage.Doc{Path: "/bin/sh", Argv: []string{"sh", "-c", command}, Env: cfg.Env, Dir: cfg.Dir, DeathSignal: int(unix.SIGKILL)}
	for _, entry := range cfg.Assign {
		if app.HasPlaceholders([]string{entry}) { // of a slot, which it has not
			continue
		}
		name, value, _ := strings.Cut(entry, "=")
		doc.Env = setenv(doc.Env, name, value)
	}
	doc.Env = setenv(doc.Env, "MUSTER_APP", cfg.App.Name)
	doc.Env = setenv(doc.Env, "MUSTER_HOOK", string(h.name))
	doc.Env = setenv(doc.Env, hookVariable, m.control.memory.Hook.Token)
	return doc, cfg.restrict(&doc, lifecycle.NoSlot)
}

func (m *Master) hookStarted(h *hook, process *proc.Process, cfg Config) {
	h.process = process
	if h.early != "" { // before it ran
		m.askToEnd(h)
		return
	}
	if limit := cfg.App.HookTimeout.Duration(); limit > 0 {
		m.after(limit, func() {
			if m.hooks.running == h {
				m.endHook(fmt.Sprintf("took longer than %v", limit), false)
			}
		})
	}
}

// awaitHook reads the hook's lines, and waits for its end and theirs. What it has left running is ended with it.
func (m *Master) awaitHook(h *hook, process *proc.Process, read streams, app string) {
	read0, read1 := make(chan struct{}), make(chan struct{})
	pump := func(r *logs.Reader, stream string, done chan struct{}) {
		defer close(done)
		src := logs.Source{App: app, Slot: lifecycle.NoSlot, PID: process.PID(), Stream: stream}
		if err := logs.Pump(r, src, m.sinkOf(src), h.tail); err != nil && !errors.Is(err, os.ErrClosed) {
			m.log.Warn("hook output lost", keyHook, string(h.name), keyError, err)
		}
	}
	m.wg.Go(func() { pump(read[0], logs.Stdout, read0) }) // both end at the end of file
	m.wg.Go(func() { pump(read[1], logs.Stderr, read1) })
	exit := process.Wait()
	bound := time.NewTimer(lastWords) // a stranger may hold the pipes open
	defer bound.Stop()
	for _, done := range []chan struct{}{read0, read1} {
		select {
		case <-done:
		case <-bound.C:
			read.close()
		}
	}
	_ = process.Close()
	m.post(func() {
		var err error
		if !exit.Success() {
			err = errors.New(exit.String())
		}
		m.hookEnded(h, err)
	})
}

func (m *Master) hookEnded(h *hook, err error) {
	if h.early != "" {
		err = errors.New(h.early)
	}
	if err == nil {
		m.log.Info("hook succeeded", keyHook, string(h.name), keyOp, h.op.ID)
		h.then(nil)
		return
	}
	m.log.Error("hook failed", keyHook, string(h.name), keyOp, h.op.ID, keyReason, err)
	h.op.Stderr = h.tail.Lines()
	h.then(fmt.Errorf("%s: %w", h.name, err))
}

// endHook asks the hook that runs to end, and ends it if it does not; now: at once. What asks a second time changes nothing.
func (m *Master) endHook(why string, now bool) {
	h := m.hooks.running
	if h == nil || h.early != "" && !now {
		return
	}
	h.early = cmp.Or(h.early, why)
	h.hurry = h.hurry || now
	if h.process != nil { // else see hookStarted
		m.askToEnd(h)
	}
}

func (m *Master) askToEnd(h *hook) {
	kill := func() {
		if m.hooks.running == h {
			_ = h.process.SignalGroup(unix.SIGKILL) // it may have exited meanwhile
		}
	}
	if h.hurry {
		kill()
		return
	}
	_ = h.process.SignalGroup(unix.SIGTERM)
	m.after(m.cfg.App.StopTimeout.Duration(), kill)
}

// dropHooked ends the reloads that have not begun for a hook runs, and tells whether there was one.
func (m *Master) dropHooked(why string) bool {
	if h := m.hooks.running; h == nil || h.name != api.HookBeforeReload {
		return false
	}
	for _, op := range m.control.memory.Operations {
		if op.Kind == api.OperationReload && op.Generation == 0 {
			m.fail(op, why, "")
		}
	}
	m.endHook(why, false)
	return true
}

// redoHook ends what is left of a hook whose master was killed, and the reloads that had not begun.
func (m *Master) redoHook() {
	saved := m.control.memory.Hook
	m.control.memory.Hook = nil
	if saved != nil {
		proc.KillByVariable(hookVariable, saved.Token)
	}
	for _, op := range m.control.memory.Operations {
		switch {
		case op.Kind != api.OperationReload || op.State != api.OperationRunning:
		case op.Generation == 0:
			m.fail(op, "the master was killed meanwhile", "nothing has happened: the workers are as before; try again")
		case op.Hook == api.HookAfterReload:
			m.fail(op, "the master was killed during "+string(op.Hook), "the new workers serve")
		}
	}
}

// errUpgrading refuses a reload with a hook: the next program would not know of it.
var errUpgrading = &api.Error{Kind: api.KindConflict, Message: "an upgrade is under way", Hint: "try again when it has ended"}

// refuseUpgrade tells why there cannot be an upgrade now.
func (m *Master) refuseUpgrade() error {
	h := m.hooks.running
	if h == nil {
		return nil
	}
	return &api.Error{Kind: api.KindConflict, Message: string(h.name) + " is running", Hint: "try again when the reload has ended: muster wait " + m.cfg.App.Name + " " + h.op.ID}
}
