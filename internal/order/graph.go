package order

import (
	"maps"
	"slices"
	"strings"

	"github.com/musterd/muster/internal/app"
)

// Graph is what each app depends on, by name.
type Graph map[string]app.Dependencies

// Sort returns the names so that each stands behind those that it depends on, and else as they are. The ones of a circle stand somewhere.
func (g Graph) Sort(names []string) []string {
	sorted := make([]string, 0, len(names))
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, on := range g[name].Names() {
			visit(on)
		}
		if slices.Contains(names, name) {
			sorted = append(sorted, name)
		}
	}
	for _, name := range names {
		visit(name)
	}
	return sorted
}

// Closure returns the names and all that they depend on, however long the way.
func (g Graph) Closure(names []string) map[string]bool {
	all := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if all[name] {
			return
		}
		all[name] = true
		for on := range g[name] {
			visit(on)
		}
	}
	for _, name := range names {
		visit(name)
	}
	return all
}

// Circle is a way from an app back to itself, with its name at both ends; nil if there is none.
func (g Graph) Circle(name string) []string {
	seen := map[string]bool{}
	var way func(at string) []string
	way = func(at string) []string {
		for _, on := range g[at].Names() {
			if on == name {
				return []string{at, on}
			}
			if seen[on] {
				continue
			}
			seen[on] = true
			if rest := way(on); rest != nil {
				return append([]string{at}, rest...)
			}
		}
		return nil
	}
	return way(name)
}

// Check tells what is wrong with what the apps depend on: names that none has, circles, and conditions that cannot be reached. known are
// their names. A circle is told once, of the first of its apps in the order of names.
func Check(apps []app.Spec) map[string][]*app.Error {
	specs, g := map[string]*app.Spec{}, Graph{}
	names := make([]string, len(apps))
	for i := range apps {
		s := &apps[i]
		names[i], specs[s.Name], g[s.Name] = s.Name, s, s.DependsOn
	}
	wrong, told := map[string][]*app.Error{}, map[string]bool{}
	for _, name := range names {
		for _, on := range g[name].Names() {
			if e := checkNeed(specs, names, on, g[name][on]); e != nil {
				wrong[name] = append(wrong[name], e)
			}
		}
		circle := g.Circle(name)
		if circle == nil || told[name] {
			continue
		}
		for _, member := range circle {
			told[member] = true
		}
		wrong[name] = append(wrong[name], circleError(circle))
	}
	return wrong
}

func circleError(circle []string) *app.Error {
	return &app.Error{
		Field: "depends_on", Value: circle[1], Reason: "each would wait for the other: " + strings.Join(circle, " depends on "), Hint: "take one of these dependencies out",
	}
}

// CheckOne tells what is wrong with what an app depends on, beside others that are known, by name.
func CheckOne(s app.Spec, others map[string]app.Spec) error {
	specs, g := map[string]*app.Spec{s.Name: &s}, Graph{s.Name: s.DependsOn}
	names := sortedNames(others)
	for _, name := range names {
		if other := others[name]; name != s.Name {
			specs[name], g[name] = &other, other.DependsOn
		}
	}
	for _, on := range s.DependsOn.Names() {
		if e := checkNeed(specs, names, on, s.DependsOn[on]); e != nil {
			return e
		}
	}
	if circle := g.Circle(s.Name); circle != nil {
		return circleError(circle)
	}
	return nil
}

func checkNeed(specs map[string]*app.Spec, names []string, on string, until app.Condition) *app.Error {
	s, ok := specs[on]
	if !ok {
		return Unknown(on, names)
	}
	return s.CanReach(until)
}

// Unknown is the error for a name that no app has.
func Unknown(name string, names []string) *app.Error {
	e := &app.Error{Field: "depends_on", Value: name, Reason: "there is no app of that name", Hint: "there is " + strings.Join(names, ", ")}
	if near, ok := app.Nearest(name, names); ok {
		e.Hint = "did you mean " + near + "?"
	} else if len(names) == 0 || len(names) > 10 {
		e.Hint = "to see what there is: muster list"
	}
	return e
}

func sortedNames[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
