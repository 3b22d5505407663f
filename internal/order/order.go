package order

import (
	"strings"

	"github.com/musterd/muster/internal/app"
)

// Part is an app as it is now.
type Part struct {
	Spec    app.Spec // as it was written; only what it depends on and may be waited for counts
	Wanted  bool     // somebody wants it to run
	Runs    bool     // it has a master, which may be coming or going
	Reached Reached
	Failed  string // why it will not get on without somebody's help; empty: it may
}

// Reached is how far an app has come.
type Reached struct{ Started, Ready, Completed bool }

// Wait is a dependency that is not as it must be.
type Wait struct {
	On    string
	Until app.Condition
	Why   string // it will not come so far by itself; empty: it may
}

// String returns "db (ready)", with the reason behind it if there is one.
func (w Wait) String() string {
	text := w.On + " (" + string(w.Until) + ")"
	if w.Why != "" {
		text += ": " + w.Why
	}
	return text
}

// Text returns "waiting for db (ready), cache (healthy)"; empty for none.
func Text(waits []Wait) string {
	if len(waits) == 0 {
		return ""
	}
	words := make([]string, len(waits))
	for i, w := range waits {
		words[i] = w.String()
	}
	return "waiting for " + strings.Join(words, ", ")
}

// InVain is the first of the waits that does not end by itself; false if all may.
func InVain(waits []Wait) (Wait, bool) {
	for _, w := range waits {
		if w.Why != "" {
			return w, true
		}
	}
	return Wait{}, false
}

// Parts are all apps, by name.
type Parts map[string]Part

// Waits returns what the app has to wait for before it may start, in the order of names; none: it may.
func (p Parts) Waits(name string) []Wait { return p.waits(name, map[string]bool{name: true}) }

// waits follows the apps that wait themselves; way are those that it has come by.
func (p Parts) waits(name string, way map[string]bool) []Wait {
	var waits []Wait
	needs := p[name].Spec.DependsOn
	for _, on := range needs.Names() {
		other, known := p[on]
		until := other.Spec.ConditionOf(needs[on])
		if known && other.has(until) {
			continue
		}
		waits = append(waits, Wait{On: on, Until: until, Why: p.why(on, until, way)})
	}
	return waits
}

// has tells whether the part has come so far.
func (p *Part) has(until app.Condition) bool {
	switch until {
	case app.ConditionStarted:
		return p.Reached.Started || p.Reached.Completed
	case app.ConditionReady:
		return p.Reached.Ready
	case app.ConditionHealthy: // a worker with a health check is ready when it has passed
		return p.Reached.Ready && p.Spec.Health != ""
	case app.ConditionCompleted:
		return p.Reached.Completed
	case app.ConditionAuto:
	}
	return false
}

// why tells why an app will not come so far by itself.
func (p Parts) why(name string, until app.Condition, way map[string]bool) string {
	part, known := p[name]
	switch {
	case !known:
		return "there is no app of that name"
	case way[name]:
		return "it waits for this one itself"
	case part.Failed != "":
		return part.Failed
	case !part.Wanted && !part.Runs:
		return "it is stopped"
	}
	if e := part.Spec.CanReach(until); e != nil {
		return e.Reason
	}
	if part.Runs {
		return ""
	}
	way[name] = true
	defer delete(way, name)
	if w, vain := InVain(p.waits(name, way)); vain {
		return "waiting for " + w.String()
	}
	return ""
}

// Held are the apps that are wanted and do not run, each with what it waits for. One that waits for nothing may start now.
func (p Parts) Held() map[string][]Wait {
	held := map[string][]Wait{}
	for name, part := range p {
		if part.Wanted && !part.Runs && part.Failed == "" {
			held[name] = p.Waits(name)
		}
	}
	return held
}

// Above are the apps that run and depend on this one, themselves or by others, among those that among names; in the order of names. They
// are to end before it.
func (p Parts) Above(name string, among func(name string) bool) []string {
	g := Graph{}
	for other, part := range p {
		g[other] = part.Spec.DependsOn
	}
	var above []string
	for _, other := range sortedNames(p) {
		if other != name && p[other].Runs && among(other) && g.Closure([]string{other})[name] && !g.Closure([]string{name})[other] {
			above = append(above, other)
		}
	}
	return above
}

// Dependants are the apps that run and depend on this one themselves, in the order of names.
func (p Parts) Dependants(name string) []string {
	var all []string
	for _, other := range sortedNames(p) {
		if _, depends := p[other].Spec.DependsOn[name]; depends && p[other].Runs && other != name {
			all = append(all, other)
		}
	}
	return all
}
