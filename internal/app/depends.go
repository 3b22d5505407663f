package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Condition is what an app that is depended on must have reached.
type Condition string

// The conditions.
const (
	ConditionAuto      Condition = "auto"      // completed for a job that runs once, started for one with a schedule, else ready
	ConditionStarted   Condition = "started"   // its master runs its workers
	ConditionReady     Condition = "ready"     // every slot is served
	ConditionHealthy   Condition = "healthy"   // every slot is served by a worker that has passed its health check
	ConditionCompleted Condition = "completed" // a job that runs once has ended with success
)

// Dependencies are the apps that must have come so far before an app starts, by their names. In JSON a list of names will do.
type Dependencies map[string]Condition

// UnmarshalJSON reads names and their conditions, or names alone.
func (d *Dependencies) UnmarshalJSON(text []byte) error {
	var names []string
	if err := json.Unmarshal(text, &names); err != nil {
		return json.Unmarshal(text, (*map[string]Condition)(d))
	}
	*d = nil
	for _, name := range names {
		d.Add(name, ConditionAuto)
	}
	return nil
}

// Add adds a name.
func (d *Dependencies) Add(name string, until Condition) {
	if *d == nil {
		*d = Dependencies{}
	}
	(*d)[name] = until
}

// Names are the apps that are depended on, in the order of the alphabet.
func (d Dependencies) Names() []string { return slices.Sorted(maps.Keys(d)) }

// ConditionOf is what is meant by a condition of this app.
func (s *Spec) ConditionOf(until Condition) Condition {
	switch {
	case until != ConditionAuto && until != "":
		return until
	case s.Schedule != "":
		return ConditionStarted
	case s.Job:
		return ConditionCompleted
	}
	return ConditionReady
}

// CanReach tells why this app never comes so far; nil if it can. The Value of the error is the name of the app.
func (s *Spec) CanReach(until Condition) *Error {
	isJob := s.Job || s.Schedule != ""
	switch s.ConditionOf(until) {
	case ConditionCompleted:
		if !s.Job || s.Schedule != "" {
			return invalid("depends_on", s.Name, "it is no job that runs once, and so never completed", "write started or ready, or give "+s.Name+" job: true")
		}
	case ConditionReady:
		if isJob {
			return invalid("depends_on", s.Name, "it is a job, which serves nobody and is never ready", "write started, or completed for a job that runs once")
		}
	case ConditionHealthy:
		if s.Health == "" {
			return invalid("depends_on", s.Name, "it has no health check", "give "+s.Name+" one, as health: http:/healthz, or write ready")
		}
	case ConditionAuto, ConditionStarted:
	}
	return nil
}

func (a *App) checkDependsOn() error {
	for _, name := range a.DependsOn.Names() {
		if name == a.Name {
			return invalid("depends_on", name, "it would wait for itself", "take it out")
		}
		if err := checkAppName(name); err != nil {
			return invalid("depends_on", name, "is not the name of an app", "write the names of apps, with a condition if need be: {db: healthy}")
		}
		until := a.DependsOn[name]
		if until == "" {
			until = ConditionAuto
		}
		err := oneOf("depends_on", until, ConditionStarted, ConditionReady, ConditionHealthy, ConditionCompleted, ConditionAuto)
		if e, ok := errors.AsType[*Error](err); ok {
			return invalid("depends_on", name, fmt.Sprintf("its condition %q is not known", until), e.Hint)
		}
	}
	return nil
}
