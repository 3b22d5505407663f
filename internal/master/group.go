package master

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/cgroup"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/stage"
)

// groups are the control groups of an app that has limits for them:
//
//	the group that muster is in, or was
//	  └── muster-NAME-ID        app_limits
//	        ├── w1              worker_limits
//	        └── w2
//
// A worker's group goes with its process, that of all with the app. Those that a killed master has left are the next one's.
type groups struct {
	place   *cgroup.Place
	all     *cgroup.Group   // nil: none
	set     app.GroupLimits // of all, as they were set last
	unset   bool            // the kernel refused them, because of what runs: again at the next exit
	full    uint64          // how often the limit of all was hit, when last looked at
	own     uint64          // kills in muster's own group, when last looked at
	machine uint64          // kills everywhere, when last looked at
}

func kernelLimits(l app.GroupLimits) cgroup.Limits {
	return cgroup.Limits{Memory: l.Memory.Bytes(), CPU: float64(l.CPU) / 1000, Tasks: l.Tasks}
}

// limitText is the limit of a resource, as the user writes it.
func limitText(l app.GroupLimits, r cgroup.Resource) string {
	switch r {
	case cgroup.Memory:
		return l.Memory.String()
	case cgroup.CPU:
		return l.CPU.String()
	case cgroup.Tasks:
	}
	return strconv.Itoa(l.Tasks)
}

// openGroups makes what the limits of cfg need, before any worker has them. What cannot be in force is a warning, or the error where the
// app asks for that.
func (m *Master) openGroups(cfg *Config) error {
	if m.groups.all == nil && (cfg.App.PerWorker != app.GroupLimits{} || cfg.App.Together != app.GroupLimits{}) {
		m.groups.place = cgroup.Find()
		m.groups.all = m.groups.place.Make(m.groupName())
		m.guardGroups()
	}
	for _, part := range []struct {
		field, of string
		limits    app.GroupLimits
	}{{"worker_limits", ofWorker, cfg.App.PerWorker}, {"app_limits", ofApp, cfg.App.Together}} {
		for _, r := range cgroup.Resources {
			if !kernelLimits(part.limits).Bounds(r) || m.groups.all.Version(r) != 0 {
				continue
			}
			missing := m.missing(r)
			if cfg.App.LimitsRequired {
				return &app.Error{Field: part.field + "." + string(r), Value: limitText(part.limits, r), Reason: "cannot be in force: " + missing.Why, Hint: missing.Hint}
			}
			m.refuseLimit(string(r)+" of "+part.of, missing)
		}
	}
	return m.tryLimits(cfg)
}

// limitFrom is openGroups for an app that has no workers yet.
func (m *Master) limitFrom(cfg *Config) error {
	if err := m.openGroups(cfg); err != nil {
		return err
	}
	m.limitAll(cfg.App.Together)
	return nil
}

// missing says why a resource is not bounded.
func (m *Master) missing(r cgroup.Resource) *cgroup.Missing {
	if m.groups.place != nil {
		if missing := m.groups.place.Missing(r); missing != nil {
			return missing
		}
	}
	return &cgroup.Missing{Why: "the control group was made without it", Hint: "stop the app and start it again"}
}

// groupName is the same for each master of the app, and no other's: who has the app's folder has the group.
func (m *Master) groupName() string {
	folder := filepath.Dir(m.run.Socket())
	hash := fnv.New32a()
	var st unix.Stat_t
	if unix.Stat(folder, &st) == nil {
		fmt.Fprint(hash, st.Dev)
	}
	fmt.Fprint(hash, " ", folder)
	return "muster-" + m.cfg.App.Name + "-" + strconv.FormatUint(uint64(hash.Sum32()), 36)
}

// guardGroups has the groups removed with a master that is killed, where none comes after it.
func (m *Master) guardGroups() {
	if m.guard == nil || m.groups.all == nil {
		return
	}
	for _, d := range m.groups.all.Dirs {
		if err := m.guard.ClearAtEnd(d.Path); err != nil {
			m.log.Warn("control group is not removed if the master is killed", keyPath, d.Path, keyError, err)
		}
	}
}

// refuseLimit tells once that a limit is not in force.
func (m *Master) refuseLimit(limit string, missing *cgroup.Missing) {
	text := limit + ": " + missing.Why
	if slices.Contains(m.refused, text) {
		return
	}
	m.refused = append(m.refused, text)
	attrs := []any{keyLimit, limit, keyReason, missing.Why}
	if missing.Hint != "" {
		attrs = append(attrs, keyHint, missing.Hint)
	}
	m.log.Warn("limit is not in force", attrs...)
}

// limitAll bounds all workers together.
func (m *Master) limitAll(l app.GroupLimits) {
	if m.groups.all == nil || l == m.groups.set && !m.groups.unset {
		return
	}
	m.groups.set, m.groups.unset = l, false
	for r, err := range m.groups.all.Limit(kernelLimits(l)) {
		if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EINVAL) && len(m.workers) > 0 { // old workers have more
			m.groups.unset = true
			continue
		}
		m.refuseLimit(string(r)+" of "+ofApp, &cgroup.Missing{Why: err.Error() + " (a group above may allow less)"})
	}
}

// widest is what bounds no worker of a nor of b: during a reload there are both.
func widest(a, b app.GroupLimits) app.GroupLimits {
	return app.GroupLimits{Memory: wider(a.Memory, b.Memory), CPU: wider(a.CPU, b.CPU), Tasks: wider(a.Tasks, b.Tasks)}
}

// wider is the larger of two limits, of which zero is none.
func wider[T cmp.Ordered](a, b T) T {
	var none T
	if a == none || b == none {
		return none
	}
	return max(a, b)
}

// workerGroup makes the group of a worker; nil where there is none. It belongs to the process that is started in it.
func (m *Master) workerGroup(cfg *Config, name string) (*cgroup.Group, error) {
	if m.groups.all == nil {
		return nil, nil
	}
	g, err := m.openGroup(name)
	if err != nil {
		return nil, m.without(cfg, err)
	}
	for r, err := range g.Limit(kernelLimits(cfg.App.PerWorker)) {
		if !kernelLimits(cfg.App.PerWorker).Bounds(r) {
			continue
		}
		if cfg.App.LimitsRequired {
			return nil, errors.Join(fmt.Errorf("set limit %s of the worker: %w", r, err), g.Clear())
		}
		m.refuseLimit(string(r)+" of "+ofWorker, &cgroup.Missing{Why: err.Error() + " (a group above may allow less)"})
	}
	return g, nil
}

// openGroup makes a group in that of all. Where somebody has removed that, it is made again.
func (m *Master) openGroup(name string) (*cgroup.Group, error) {
	g := m.groups.all.Child(name)
	err := g.Open()
	if !errors.Is(err, fs.ErrNotExist) {
		return g, err
	}
	m.groups.place = cgroup.Find()
	all := m.groups.place.Make(m.groupName())
	if all == nil {
		return nil, err
	}
	m.groups.all = all
	m.guardGroups()
	together := m.groups.set
	m.groups.set = app.GroupLimits{}
	m.limitAll(together)
	g = all.Child(name)
	return g, g.Open()
}

// without tells that a worker has no group: an error, if its limits are required.
func (m *Master) without(cfg *Config, err error) error {
	if cfg.App.LimitsRequired {
		return fmt.Errorf("make control group: %w", err)
	}
	for _, r := range cgroup.Resources {
		if kernelLimits(cfg.App.PerWorker).Bounds(r) {
			m.refuseLimit(string(r)+" of "+ofWorker, &cgroup.Missing{Why: "no control group can be made: " + err.Error()})
		}
	}
	return nil
}

// groupOf is the group of a worker that this master may not have started.
func (m *Master) groupOf(id lifecycle.WorkerID) *cgroup.Group {
	if m.groups.all == nil {
		return nil
	}
	return m.groups.all.Child(groupNameOf(id))
}

func groupNameOf(id lifecycle.WorkerID) string { return "w" + strconv.FormatUint(uint64(id), 10) }

// sweepGroups clears the groups of workers that there are no more.
func (m *Master) sweepGroups() {
	if m.groups.all == nil {
		return
	}
	for _, name := range m.groups.all.Children() {
		id, err := strconv.ParseUint(strings.TrimPrefix(name, "w"), 10, 64)
		if err == nil && m.workers[lifecycle.WorkerID(id)] != nil {
			continue
		}
		left := m.groups.all.Child(name)
		go func() { _ = left.Clear() }() // ends in a second
	}
}

// tryLimits tells whether the machine grants all limits of an app that requires them: a process that gets them and becomes nothing.
func (m *Master) tryLimits(cfg *Config) error {
	if !cfg.App.LimitsRequired {
		return nil
	}
	spec := proc.Spec{Stdout: -1, Stderr: -1, Guard: m.guard}
	spec.Doc.Path, spec.Doc.Argv = "/nonexistent/muster", []string{"nothing"}
	if err := cfg.restrict(&spec.Doc, 0); err != nil {
		return err
	}
	var err error
	if spec.Group, err = m.workerGroup(cfg, "trial"); err == nil {
		_, err = m.spawner.Start(context.Background(), spec)
		if e, ok := errors.AsType[*proc.StartError](err); ok && e.Op == stage.OpExec {
			return nil
		}
	}
	return &app.Error{
		Field: "limits_required", Reason: fmt.Sprintf("a worker would not get all it is to have: %v", err),
		Hint: "ask for less, or raise what muster itself has (LimitNOFILE= and the like in its unit); without limits_required that is a warning",
	}
}

// outOfMemory names the reason of an exit if it is that memory was short, by what the kernel has counted.
func (m *Master) outOfMemory(w *worker, exit proc.Exit) string {
	own, machine, full := m.countKills()
	isKilled := exit.Signal == unix.SIGKILL && !w.killed
	cfg := m.of(w)
	var why string
	switch kills := exit.Counts.Kills; {
	case kills == 0 && isKilled && own:
		why = "out of memory"
	case kills == 0 && isKilled && machine:
		return "perhaps out of memory: the kernel has just killed a process of this machine for that"
	case kills == 0 || exit.Success() || w.killed:
		return ""
	case exit.Counts.Full > 0 && cfg.App.PerWorker.Memory > 0:
		why = "out of memory: the limit of the worker is " + cfg.App.PerWorker.Memory.String()
	case full && m.groups.set.Memory > 0:
		why = "out of memory: the limit of all workers together is " + m.groups.set.Memory.String()
	default:
		why = "out of memory: the machine has no more, or a control group above"
	}
	if !isKilled {
		why = "the kernel had killed a process of it, " + why
	}
	return why
}

// countKills tells which counters have grown since it was asked last: the kills in muster's own group, those of the machine, and how often
// the limit of all workers was hit.
func (m *Master) countKills() (own, machine, full bool) {
	g := &m.groups
	if n, known := cgroup.OwnKills(); known {
		own, g.own = n > g.own, n
	}
	if n, known := cgroup.AllKills(); known {
		machine, g.machine = n > g.machine, n
	}
	if g.all != nil {
		if c, known := g.all.Counts(); known {
			full, g.full = c.Full > g.full, c.Full
		}
	}
	return own, machine, full
}

// Whose limits there are.
const (
	ofProcess = "each process"
	ofWorker  = "each worker"
	ofApp     = "all workers together"
)

// describeLimits are the limits of the generation that serves, and whether they are in force.
func (m *Master) describeLimits() []api.Limit {
	var all []api.Limit
	for _, l := range m.cfg.App.Rlimits {
		all = append(all, api.Limit{Of: ofProcess, Name: l.Name, Value: m.cfg.App.Limits[l.Name]})
	}
	add := func(of string, l app.GroupLimits) {
		for _, r := range cgroup.Resources {
			if kernelLimits(l).Bounds(r) {
				all = append(all, api.Limit{Of: of, Name: string(r), Value: limitText(l, r), Group: m.groups.all.Version(r)})
			}
		}
	}
	add(ofWorker, m.cfg.App.PerWorker)
	add(ofApp, m.cfg.App.Together)
	for i := range all {
		prefix := all[i].Name + " of " + all[i].Of + ": "
		for _, text := range m.refused {
			if why, ok := strings.CutPrefix(text, prefix); ok {
				all[i].Refused = why
			}
		}
	}
	return all
}

// noteRefused tells of what a process did not get, once: it is the same for every worker.
func (m *Master) noteRefused(warnings []stage.Report) {
	for _, warning := range warnings {
		if text := warning.String(); !slices.Contains(m.refused, text) {
			m.refused = append(m.refused, text)
			m.log.Warn("workers do not get all they were to have", keyError, text)
		}
	}
}

// closeGroups removes the groups of an app that has ended.
func (m *Master) closeGroups() {
	if m.groups.all == nil {
		return
	}
	if err := m.groups.all.Clear(); err != nil {
		m.log.Warn("control group is left", keyError, err)
	}
}
