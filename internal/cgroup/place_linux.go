package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Place is where this process may make groups.
type Place struct {
	bases   []Dir // groups that others can be made in; that of Tasks first, where nobody can be born who is to be killed
	missing map[Resource]*Missing
}

// controllers are the names of the resources' controllers.
var controllers = map[Resource]string{Memory: "memory", CPU: "cpu", Tasks: "pids"}

// Find looks where groups can be made. It changes nothing.
func Find() *Place { return findIn(ownHierarchies()) }

func findIn(all []hierarchy) *Place {
	p := &Place{missing: map[Resource]*Missing{}}
	slices.SortStableFunc(all, func(a, b hierarchy) int { return order(a) - order(b) })
	for _, r := range []Resource{Tasks, Memory, CPU} {
		p.missing[r] = p.find(r, all)
	}
	return p
}

func order(h hierarchy) int {
	if h.v1 {
		return 1
	}
	return 0
}

// find finds the hierarchy for a resource. The reason that it gives is that of
// the hierarchy that has the controller.
func (p *Place) find(r Resource, all []hierarchy) *Missing {
	missing := &Missing{
		Why:  "no mounted control group has the controller " + controllers[r],
		Hint: "mount the cgroup file system at /sys/fs/cgroup; in a container, have its engine do so",
	}
	for _, h := range all {
		base, ok := h.baseFor(controllers[r])
		if !ok {
			continue
		}
		if missing = h.refusal(base); missing == nil {
			p.add(Dir{Path: base, V1: h.v1}, r)
			return nil
		}
	}
	return missing
}

func (p *Place) add(base Dir, r Resource) {
	for i := range p.bases {
		if p.bases[i].Path == base.Path {
			p.bases[i].Resources = append(p.bases[i].Resources, r)
			return
		}
	}
	base.Resources = []Resource{r}
	p.bases = append(p.bases, base)
}

// Missing says why a resource cannot be bounded; nil: it can.
func (p *Place) Missing(r Resource) *Missing { return p.missing[r] }

// baseFor is the group in which new ones are made, if the hierarchy has the
// controller there.
func (h hierarchy) baseFor(controller string) (string, bool) {
	switch {
	case h.dir == "":
		return "", false
	case h.v1:
		return h.dir, slices.Contains(h.controllers, controller)
	}
	base := h.dir
	if parent := filepath.Dir(base); filepath.Base(base) == ownName || !isDelegated(base) && isDelegated(parent) {
		base = parent
	}
	return base, slices.Contains(readWords(filepath.Join(base, "cgroup.controllers")), controller)
}

// isDelegated tells whether systemd has given a group away: Delegate=.
func isDelegated(dir string) bool {
	for _, name := range []string{"trusted.delegate", "user.delegate"} {
		value := make([]byte, 8)
		if n, err := unix.Getxattr(dir, name, value); err == nil && bytes.Equal(value[:n], []byte("1")) {
			return true
		}
	}
	return false
}

// refusal says why no group can be made in base; nil: it can.
func (h hierarchy) refusal(base string) *Missing {
	files := []string{base}
	if !h.v1 {
		files = append(files, filepath.Join(base, procs), filepath.Join(base, subtree))
	}
	for _, file := range files {
		err := writable(file)
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, unix.EROFS):
			return &Missing{Why: "the control groups are mounted read-only: " + base, Hint: "in a container, give the limits to its engine, or let it mount /sys/fs/cgroup writable"}
		default:
			return &Missing{Why: fmt.Sprintf("user %d may not make control groups in %s", os.Geteuid(), base), Hint: delegateHint}
		}
	}
	if !h.v1 && h.path != "/" && !isDelegated(base) && os.Geteuid() == 0 && systemdRuns() {
		return &Missing{Why: "systemd has not delegated the control group " + base, Hint: delegateHint}
	}
	return nil
}

const delegateHint = "run muster in a unit of systemd with Delegate=yes (muster startup writes one); to try it: systemd-run --scope -p Delegate=yes, with --user unless you are root"

func systemdRuns() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

const (
	// ownName is the group that takes in what was in a group of version 2 that
	// others are made in: one that hands on controllers cannot have processes.
	ownName = "muster-own"
	subtree = "cgroup.subtree_control"
	// busy is how often a group is emptied that fills again.
	busy = 20
)

// Make makes a group of that name, or takes over the one that there is, which
// must be this process's alone: what its children still hold is killed and
// removed. What it could not be made for is missing from now on. Nil: nothing
// can be bounded.
func (p *Place) Make(name string) *Group {
	g := &Group{}
	for _, base := range p.bases {
		d := Dir{Path: filepath.Join(base.Path, name), V1: base.V1, Resources: base.Resources}
		if err := d.make(base.Path); err != nil {
			for _, r := range d.Resources {
				p.missing[r] = &Missing{Why: "no control group can be made: " + err.Error()}
			}
			_ = os.Remove(d.Path)
			continue
		}
		g.Dirs = append(g.Dirs, d)
	}
	if len(g.Dirs) == 0 {
		return nil
	}
	return g
}

func (d Dir) make(base string) error {
	if !d.V1 {
		if err := d.handOn(base); err != nil {
			return err
		}
	}
	if err := os.Mkdir(d.Path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	children, err := childrenOf(d.Path)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := clearDir(child); err != nil {
			return err
		}
	}
	if d.V1 {
		_ = write(filepath.Join(d.Path, "memory.use_hierarchy"), "1") // before Linux 5.11, a choice
		return nil
	}
	return write(filepath.Join(d.Path, subtree), d.handedOn())
}

// handedOn is "+memory +cpu".
func (d Dir) handedOn() string {
	var words []string
	for _, r := range d.Resources {
		words = append(words, "+"+controllers[r])
	}
	return strings.Join(words, " ")
}

// handOn has base hand the controllers on to its children. Only the root of all
// may have processes then, which is the one without a type.
func (d Dir) handOn(base string) error {
	err := write(filepath.Join(base, subtree), d.handedOn())
	for range busy {
		if err == nil || !errors.Is(err, unix.EBUSY) {
			return err
		}
		if err := moveAll(base, filepath.Join(base, ownName)); err != nil {
			return err
		}
		err = write(filepath.Join(base, subtree), d.handedOn())
	}
	return err
}

// moveAll moves the processes of a group into another, which is made if need be.
func moveAll(from, to string) error {
	if err := os.Mkdir(to, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, pid := range readWords(filepath.Join(from, procs)) {
		if pid == "0" {
			return fmt.Errorf("%s has processes of another PID namespace", from)
		}
		if err := write(filepath.Join(to, procs), pid); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("move process %s: %w", pid, err)
		}
	}
	return nil
}
