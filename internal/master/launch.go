package master

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/nodeipc"
	"github.com/musterd/muster/internal/notify"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/stage"
)

// launchPlan is what a start needs. Its descriptors are copies, closed by release when the process has its own.
type launchPlan struct {
	spec proc.Spec
	fds  []int
}

func (p *launchPlan) release() {
	for _, fd := range p.fds {
		_ = unix.Close(fd)
	}
}

// launch prepares the start of w: pipes, channel, notify socket and sockets. On error nothing stays open but what w.release closes.
func (m *Master) launch(w *worker) (*launchPlan, error) {
	p := &launchPlan{}
	err := m.connect(w, p)
	if err == nil {
		m.giveBox(w, p)
		err = m.describe(w, p)
	}
	if err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// connect opens the ways between the master and w.
func (m *Master) connect(w *worker, p *launchPlan) (err error) {
	if w.stdout, p.spec.Stdout, err = logs.Pipe(); err != nil {
		return fmt.Errorf("pipe for stdout: %w", err)
	}
	p.fds = append(p.fds, p.spec.Stdout)
	if w.stderr, p.spec.Stderr, err = logs.Pipe(); err != nil {
		return fmt.Errorf("pipe for stderr: %w", err)
	}
	p.fds = append(p.fds, p.spec.Stderr)
	if w.notify, err = notify.Listen(m.notifyPath(w.id)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("open notify socket: %w", err)
	}
	if err := m.letNotify(w); err != nil {
		return err
	}
	if m.cfg.hasChannel() {
		return m.connectChannel(w, p)
	}
	return m.inherit(w, p)
}

// connectChannel makes the channel the program's first descriptor.
func (m *Master) connectChannel(w *worker, p *launchPlan) error {
	conn, far, err := nodeipc.Pair(nodeipc.Options{})
	if err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	w.conn = conn
	p.fds = append(p.fds, far)
	p.spec.Files = []int{far}
	return nil
}

// inherit gives the program the sockets of its slot.
func (m *Master) inherit(w *worker, p *launchPlan) error {
	if m.cfg.Handoff != app.HandoffInherit {
		return nil
	}
	for _, l := range m.listeners {
		fd, err := l.socket(w.slot).Dup()
		if err != nil {
			return fmt.Errorf("duplicate listener %s: %w", l.Name, err)
		}
		p.fds = append(p.fds, fd)
		p.spec.Files = append(p.spec.Files, fd)
		p.spec.Doc.ListenNames = append(p.spec.Doc.ListenNames, l.Name)
	}
	if m.namesFD(w) {
		p.spec.Doc.ListenNames = nil
		return nil
	}
	p.spec.Doc.ListenFDs = len(p.spec.Files)
	return nil
}

// namesFD tells whether the command says {fd}. Then LISTEN_FDS would say it a second time: gunicorn takes a descriptor twice then, and fails.
func (m *Master) namesFD(w *worker) bool {
	cfg := m.of(w)
	return app.UsesFD(cfg.Argv) || app.UsesFD(cfg.Assign)
}

func (m *Master) describe(w *worker, p *launchPlan) error {
	cfg := m.of(w)
	argv, err := app.Expand(cfg.Argv, m.vars(w))
	if err != nil {
		return err
	}
	doc := &p.spec.Doc
	doc.Path, doc.Argv, doc.Dir = cfg.Path, m.inspected(w, argv), cfg.Dir
	if doc.Env, err = m.plannedEnv(w); err != nil {
		return err
	}
	if err := cfg.restrict(doc, w.slot); err != nil {
		return err
	}
	if !m.survives() { // nobody could take the worker over
		doc.DeathSignal = int(unix.SIGKILL)
	}
	p.spec.Guard = m.guard
	p.spec.Group, err = m.workerGroup(cfg, groupNameOf(w.id)) // last: it is the process's from then on
	return err
}

// inspected gives the inspector of a Node worker the lowest port that no living worker has.
func (m *Master) inspected(w *worker, argv []string) []string {
	inspect := m.of(w).Inspect
	if inspect == nil {
		return argv
	}
	taken := map[int]bool{}
	for _, other := range m.workers {
		taken[other.inspectPort] = true
	}
	w.inspectPort = inspect.Port
	for taken[w.inspectPort] {
		w.inspectPort++
	}
	return slices.Insert(slices.Clone(argv), inspect.At, "--inspect-port="+strconv.Itoa(w.inspectPort))
}

func (m *Master) vars(w *worker) app.Vars {
	v := app.Vars{Slot: w.slot}
	for i, l := range m.listeners {
		fd := -1
		if m.cfg.Handoff == app.HandoffInherit {
			fd = stage.FirstFD + i
		}
		if l.declared {
			v.Listeners = append(v.Listeners, app.ListenerVars{Name: l.Name, FD: fd, Port: l.Port})
		}
	}
	return v
}

// plannedEnv is the environment for a start of w now.
func (m *Master) plannedEnv(w *worker) ([]string, error) {
	assigned, err := app.Expand(m.of(w).Assign, m.vars(w))
	if err != nil {
		return nil, err
	}
	return m.letCount(w, m.environment(w, assigned))
}

// idVariable tells a worker its ID.
const idVariable = "MUSTER_ID"

// environment is what w finds, beyond what the user and the exec stage give it.
func (m *Master) environment(w *worker, assigned []string) []string {
	env := slices.Clone(m.of(w).Env)
	set := func(key, value string) { env = setenv(env, key, value) }
	for _, entry := range assigned {
		name, value, _ := strings.Cut(entry, "=")
		set(name, value)
	}
	set("MUSTER_APP", m.cfg.App.Name)
	set(idVariable, strconv.FormatUint(uint64(w.id), 10))
	set("MUSTER_GENERATION", strconv.FormatUint(uint64(w.gen), 10))
	if w.slot == lifecycle.NoSlot {
		set("MUSTER_SPARE", "1") // what it does at boot is done in more processes than there are slots
	} else {
		set("MUSTER_SLOT", strconv.Itoa(w.slot))
		for name := range strings.SplitSeq(m.of(w).App.InstanceVar, ",") {
			set(name, strconv.Itoa(w.slot))
		}
	}
	if w.notify != nil {
		set("NOTIFY_SOCKET", w.notify.Path())
	}
	if addresses := m.addresses(); addresses != "" {
		set("MUSTER_LISTEN", addresses)
	}
	if port := m.firstPort(); port != 0 && !hasenv(env, "PORT") {
		set("PORT", strconv.Itoa(port))
	}
	if hang := m.of(w).App.HangTimeout.Duration(); hang > 0 {
		set("WATCHDOG_USEC", strconv.FormatInt(hang.Microseconds(), 10))
	}
	if m.cfg.hasChannel() {
		set("NODE_CHANNEL_FD", strconv.Itoa(stage.FirstFD))
		set("NODE_CHANNEL_SERIALIZATION_MODE", "json")
	}
	if m.cfg.speaksNode() {
		set("NODE_UNIQUE_ID", strconv.FormatUint(uint64(w.id), 10))
	}
	return env
}

// addresses are the declared listeners as a program on the SDK asks for them: with the port that was bound.
func (m *Master) addresses() string {
	var all []string
	for _, l := range m.listeners {
		if l.declared {
			all = append(all, l.Address())
		}
	}
	return strings.Join(all, " ")
}

func (m *Master) firstPort() int {
	for _, l := range m.listeners {
		if l.declared && l.stream() && l.Port > 0 {
			return l.Port
		}
	}
	return 0
}

func setenv(env []string, key, value string) []string {
	env = slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, key+"=") })
	return append(env, key+"="+value)
}

func hasenv(env []string, key string) bool {
	return slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, key+"=") })
}

func getenv(env []string, key string) string {
	for _, kv := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(kv, key+"="); ok {
			return value
		}
	}
	return ""
}

// notifyPath is where a worker's notify socket is. It goes with the master, by the guard if need be.
func (m *Master) notifyPath(id lifecycle.WorkerID) string {
	return filepath.Join(m.run.Private(), "n"+strconv.FormatUint(uint64(id), 10))
}
