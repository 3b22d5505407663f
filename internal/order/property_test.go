package order_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/order"
	"pgregory.net/rapid"
)

// world is what a daemon would do with what the package decides: parts that may begin begin, and what runs comes further, or fails.
type world struct {
	parts order.Parts
	fails map[string]bool // will never come to serve
}

// anyWorld has parts that depend only on those before them, so that there is no circle.
func anyWorld(t *rapid.T) *world {
	w := &world{parts: order.Parts{}, fails: map[string]bool{}}
	n := rapid.IntRange(1, 12).Draw(t, "parts")
	var names []string
	for i := range n {
		name := fmt.Sprint("p", i)
		spec := app.Spec{Name: name, Job: rapid.IntRange(0, 3).Draw(t, "job") == 0}
		if !spec.Job && rapid.Bool().Draw(t, "checked") {
			spec.Health = "tcp"
		}
		for _, on := range names {
			if rapid.IntRange(0, 3).Draw(t, "depends") == 0 {
				spec.DependsOn.Add(on, rapid.SampledFrom(reachable(w.parts[on].Spec)).Draw(t, "until"))
			}
		}
		w.parts[name] = order.Part{Spec: spec, Wanted: true}
		w.fails[name] = rapid.IntRange(0, 5).Draw(t, "fails") == 0
		names = append(names, name)
	}
	return w
}

func reachable(s app.Spec) []app.Condition {
	var all []app.Condition
	for _, c := range []app.Condition{app.ConditionAuto, app.ConditionStarted, app.ConditionReady, app.ConditionHealthy, app.ConditionCompleted} {
		if s.CanReach(c) == nil {
			all = append(all, c)
		}
	}
	return all
}

// mayReach tells whether nothing ever keeps a part from beginning, or from coming so far.
func (w *world) mayReach(name string, until app.Condition) bool {
	p := w.parts[name]
	if w.fails[name] && p.Spec.ConditionOf(until) != app.ConditionStarted {
		return false
	}
	for on, u := range p.Spec.DependsOn {
		if !w.mayReach(on, u) {
			return false
		}
	}
	return true
}

// begin starts a part, which must have what it needs.
func (w *world) begin(t *rapid.T, name string) {
	for on, until := range w.parts[name].Spec.DependsOn {
		other := w.parts[on]
		r, ok := other.Reached, false
		switch other.Spec.ConditionOf(until) {
		case app.ConditionStarted:
			ok = r.Started
		case app.ConditionReady, app.ConditionHealthy:
			ok = r.Ready
		case app.ConditionCompleted:
			ok = r.Completed
		case app.ConditionAuto:
		}
		if !ok {
			t.Fatalf("%s began although %s is not %s: %+v", name, on, until, r)
		}
	}
	p := w.parts[name]
	p.Runs = true
	w.parts[name] = p
}

// advance lets a part that runs come a step further.
func (w *world) advance(name string) bool {
	p := w.parts[name]
	switch {
	case !p.Runs || p.Failed != "" || p.Reached.Ready:
		return false
	case !p.Reached.Started:
		p.Reached.Started = true
	case w.fails[name]:
		p.Failed = "failed: exit status 1"
	case p.Spec.Job:
		p.Runs, p.Wanted, p.Reached.Completed = false, false, true
	default:
		p.Reached.Ready = true
	}
	w.parts[name] = p
	return true
}

// TestStartsSettle: in a fair world everything begins whose needs can be met, nothing before they are, and what cannot begin is told why.
func TestStartsSettle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		names := w.settle(t)
		held := w.parts.Held()
		for _, name := range names {
			may := true
			for on, until := range w.parts[name].Spec.DependsOn {
				may = may && w.mayReach(on, until)
			}
			p := w.parts[name]
			if begun := p.Reached.Started; begun != may {
				t.Fatalf("%s has begun: %v, it may: %v, it waits for %v", name, begun, may, held[name])
			}
			if _, vain := order.InVain(held[name]); !may && !vain {
				t.Fatalf("%s waits for ever and is not told why: %v", name, held[name])
			}
		}
		// What is repaired lets all the rest begin.
		for _, name := range names {
			w.fails[name] = false
			p := w.parts[name]
			p.Failed = ""
			w.parts[name] = p
		}
		w.settle(t)
		for _, name := range names {
			if !w.parts[name].Reached.Started {
				t.Fatalf("%s has not begun in a world without failures: %v", name, w.parts.Waits(name))
			}
		}
	})
}

// settle lets the world go on in any order until nothing happens any more.
func (w *world) settle(t *rapid.T) []string {
	names := make([]string, 0, len(w.parts))
	for i := range len(w.parts) {
		names = append(names, fmt.Sprint("p", i))
	}
	for moved := true; moved; {
		moved = false
		for _, name := range rapid.Permutation(names).Draw(t, "order") {
			if waits, is := w.parts.Held()[name]; is && len(waits) == 0 {
				w.begin(t, name)
				moved = true
			}
			if rapid.Bool().Draw(t, "goes on") {
				moved = w.advance(name) || moved
			}
		}
		for _, name := range names { // fair: nobody stands still for ever
			moved = w.advance(name) || moved
		}
	}
	return names
}

// TestStopsEnd: whatever is stopped together ends, and nothing before what depends on it.
func TestStopsEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		names := w.settle(t)
		var chosen []string
		for _, name := range names {
			if w.parts[name].Runs && rapid.Bool().Draw(t, "stops") {
				chosen = append(chosen, name)
			}
		}
		with := func(name string) bool { return slices.Contains(chosen, name) }
		left := chosen
		for len(left) > 0 {
			free := slices.DeleteFunc(slices.Clone(left), func(name string) bool { return len(w.parts.Above(name, with)) > 0 })
			if len(free) == 0 {
				t.Fatalf("none of %v may end", left)
			}
			name := rapid.SampledFrom(free).Draw(t, "ends")
			for _, other := range w.parts.Dependants(name) {
				if with(other) {
					t.Fatalf("%s ends before %s", name, other)
				}
			}
			p := w.parts[name]
			p.Runs, p.Wanted = false, false
			w.parts[name] = p
			left = slices.DeleteFunc(slices.Clone(left), func(n string) bool { return n == name })
		}
	})
}

// TestSort: each stands behind what it depends on, and none is lost.
func TestSort(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		g, names := order.Graph{}, []string{}
		for name, p := range w.parts {
			g[name] = p.Spec.DependsOn
			names = append(names, name)
		}
		sorted := g.Sort(names)
		if len(sorted) != len(names) {
			t.Fatalf("%v became %v", names, sorted)
		}
		for i, name := range sorted {
			for on := range g[name] {
				if slices.Index(sorted, on) >= i {
					t.Fatalf("%s stands before %s: %v", name, on, sorted)
				}
			}
		}
	})
}
