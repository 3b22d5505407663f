//go:build !linux

package cgroup

// Place is nowhere on this system.
type Place struct{}

// Find finds nothing on this system.
func Find() *Place { return &Place{} }

// Missing says that there are no control groups.
func (p *Place) Missing(Resource) *Missing {
	return &Missing{Why: "this system has no control groups", Hint: "use the limits of processes: --limits"}
}

// Make makes nothing on this system.
func (p *Place) Make(string) *Group { return nil }

// Open does nothing on this system.
func (g *Group) Open() error { return nil }

// Limit does nothing on this system.
func (g *Group) Limit(Limits) map[Resource]error { return nil }

// Counts are not known on this system.
func (g *Group) Counts() (Counts, bool) { return Counts{}, false }

// Clear does nothing on this system.
func (g *Group) Clear() error { return nil }

// Children are none on this system.
func (g *Group) Children() []string { return nil }

// OwnKills is unknown on this system.
func OwnKills() (uint64, bool) { return 0, false }

// AllKills is unknown on this system.
func AllKills() (uint64, bool) { return 0, false }
