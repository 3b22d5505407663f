// Package cgroup makes control groups below the one that this process is in,
// sets limits in them, and tells what has become of these. See cgroups(7) and,
// for version 2, the kernel's Documentation/admin-guide/cgroup-v2.rst.
//
// A [Place] is where groups can be made. Each [Resource] is looked for in
// version 2 first, then in version 1: on hybrid systems version 2 is mounted
// and has no controllers.
package cgroup

import (
	"path/filepath"
	"slices"
)

// Resource is something whose use a group can bound.
type Resource string

// The resources.
const (
	Memory Resource = "memory" // bytes in RAM
	CPU    Resource = "cpu"    // CPUs at a time
	Tasks  Resource = "tasks"  // processes and threads
)

// Resources are all resources.
var Resources = []Resource{Memory, CPU, Tasks}

// Limits bound what the processes of a group use together. Zero: not at all.
type Limits struct {
	Memory int64
	CPU    float64
	Tasks  int
}

// Bounds tells whether there is a limit of r.
func (l Limits) Bounds(r Resource) bool {
	switch r {
	case Memory:
		return l.Memory > 0
	case CPU:
		return l.CPU > 0
	case Tasks:
		return l.Tasks > 0
	}
	return false
}

// Missing says why a resource cannot be bounded here.
type Missing struct {
	Why  string
	Hint string // what would help; may be empty
}

func (m *Missing) Error() string { return m.Why }

// Group is a control group: a folder in each hierarchy that has part in it. It
// is plain data, and means the same in another process.
type Group struct {
	Dirs []Dir `json:"dirs"`
}

// Dir is the folder of a group in one hierarchy.
type Dir struct {
	Path      string     `json:"path"`
	V1        bool       `json:"v1,omitempty"`
	Resources []Resource `json:"resources"` // that are bounded here
}

// procs is the file of a group that takes and lists processes.
const procs = "cgroup.procs"

// Entrances are the files into which a process writes "0" to enter the group.
func (g *Group) Entrances() []string {
	var all []string
	for _, d := range g.Dirs {
		all = append(all, filepath.Join(d.Path, procs))
	}
	return all
}

// Version is the version of control groups that bounds r here; zero: none does.
func (g *Group) Version(r Resource) int {
	switch d := g.dir(r); {
	case d == nil:
		return 0
	case d.V1:
		return 1
	}
	return 2
}

func (g *Group) dir(r Resource) *Dir {
	if g == nil {
		return nil
	}
	for i := range g.Dirs {
		if slices.Contains(g.Dirs[i].Resources, r) {
			return &g.Dirs[i]
		}
	}
	return nil
}

// Child is the group of that name in g, which need not exist.
func (g *Group) Child(name string) *Group {
	child := &Group{}
	for _, d := range g.Dirs {
		d.Path = filepath.Join(d.Path, name)
		child.Dirs = append(child.Dirs, d)
	}
	return child
}

// Counts are what the kernel counts of a group's memory.
type Counts struct {
	// Kills is how many processes of the group the kernel has killed because
	// memory was short, here, above or everywhere.
	Kills uint64 `json:"kills,omitempty"`
	// Full is how often the group's own limit was hit. Version 1 counts also what
	// freeing caches has settled.
	Full uint64 `json:"full,omitempty"`
}
