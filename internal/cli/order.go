package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/order"
)

// turns have each app be asked for when those that it depends on have been: what the daemon says of these is then of this command, and not of
// the past. The order of the starts themselves is the daemon's.
type turns struct {
	graph order.Graph
	asked map[string]chan struct{} // closed when the daemon has answered
}

func newTurns(graph order.Graph) turns {
	t := turns{graph: graph, asked: map[string]chan struct{}{}}
	for name := range graph {
		t.asked[name] = make(chan struct{})
	}
	return t
}

// ask asks in the app's turn.
func (t turns) ask(ctx context.Context, name string, ask func() (api.StartAnswer, error)) (api.StartAnswer, error) {
	defer close(t.asked[name])
	for _, on := range t.graph[name].Names() {
		asked, ours := t.asked[on]
		if !ours || t.graph.Closure([]string{on})[name] { // in a circle nobody is first
			continue
		}
		select {
		case <-asked:
		case <-ctx.Done():
			return api.StartAnswer{}, ctx.Err()
		}
	}
	return ask()
}

// isNeeded tells whether another app of the graph depends on this one.
func (t turns) isNeeded(name string) bool {
	for _, needs := range t.graph {
		if _, needed := needs[name]; needed {
			return true
		}
	}
	return false
}

// isOrdered tells whether any of the apps depends on another of them.
func isOrdered(g order.Graph) bool {
	for _, needs := range g {
		for on := range needs {
			if _, ours := g[on]; ours {
				return true
			}
		}
	}
	return false
}

// graphOf is what the apps depend on.
func graphOf(subjects []subject) order.Graph {
	g := order.Graph{}
	for _, s := range subjects {
		g[s.name] = nil
		if s.entry != nil && s.entry.Launch != nil {
			g[s.name] = s.entry.Launch.Spec.DependsOn
		}
	}
	return g
}

// sorted returns the apps so that each stands behind those that it depends on.
func sorted(g order.Graph, subjects []subject) []subject {
	names := g.Sort(namesOf(subjects))
	subjects = slices.Clone(subjects)
	slices.SortStableFunc(subjects, func(a, b subject) int { return slices.Index(names, a.name) - slices.Index(names, b.name) })
	return subjects
}

func namesOf(subjects []subject) []string {
	names := make([]string, len(subjects))
	for i, s := range subjects {
		names[i] = s.name
	}
	return names
}

// untilBegun waits while the app is held, and says for what. It ends with an error where that is in vain.
func (f *follower) untilBegun(ctx context.Context, daemon *client.Client, answer api.StartAnswer) (api.StartAnswer, error) {
	for answer.Entry.State == api.EntryHeld {
		if why, vain := inVain(answer.Entry.Waits); vain {
			return answer, &failure{
				message: fmt.Sprintf("%s was not started: waiting for %s", answer.Entry.Name, why),
				hint:    "it starts by itself as soon as it can; see muster explain " + answer.Entry.Name, code: exitFailed,
			}
		}
		if f.noWait {
			return answer, nil
		}
		if err := f.say(answer.Entry.Name + ": " + answer.Entry.Why); err != nil {
			return answer, err
		}
		entry, err := daemon.AwaitDecision(ctx, answer.Entry)
		if err != nil {
			return answer, err
		}
		answer.Entry = entry
	}
	return answer, nil
}

// inVain is the first thing that is waited for and does not come by itself.
func inVain(waits []api.Wait) (string, bool) {
	for _, w := range waits {
		if w.Why != "" {
			return order.Wait(w).String(), true
		}
	}
	return "", false
}

// begun waits until a master of an app that was held runs, or it is known why none does. Without waiting, the entry has no socket.
func (f *follower) begun(ctx context.Context, daemon *client.Client, answer api.StartAnswer) (api.StartAnswer, error) {
	answer, err := f.untilBegun(ctx, daemon, answer)
	for err == nil && answer.Entry.State == api.EntryStarting {
		answer.Entry, err = daemon.AwaitDecision(ctx, answer.Entry)
	}
	switch e := answer.Entry; {
	case err != nil:
	case e.State == api.EntryHeld:
		return answer, f.tellStarted(e.Name, answer, nil)
	case e.Completed:
		return answer, f.say("started " + e.Name + ": " + string(api.AppCompleted))
	case e.Socket == "":
		err = &failure{message: fmt.Sprintf("%s is %s%s", e.Name, e.State, colon(e.Why)), hint: e.Hint, code: exitFailed}
	default:
		answer.Outcome = api.StartedNew
	}
	return answer, err
}

// tellLeft tells who goes on although what it depends on is stopped.
func (f *follower) tellLeft(name string, left []string) {
	if len(left) == 0 || f.quiet {
		return
	}
	verb := "depends on %s and goes on without it\n"
	if len(left) > 1 {
		verb = "depend on %s and go on without it\n"
	}
	fmt.Fprintf(f.stderr, "muster: "+strings.Join(left, ", ")+" "+verb, name)
}
