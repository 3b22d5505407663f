package api

import (
	"time"

	"github.com/musterd/muster/internal/app"
)

// Schedule says when something is due.
type Schedule struct {
	Expression string      `json:"expression"`
	Zone       string      `json:"zone"`                // where its hours count
	Next       []time.Time `json:"next"`                // the next times
	Postponed  bool        `json:"postponed,omitempty"` // it is due, and waits for the end of an operation
}

// RunState is a run in one word.
type RunState string

// The states of a run.
const (
	RunRunning   RunState = "running"
	RunRetrying  RunState = "retrying" // a try has failed, the next one is due soon
	RunWaiting   RunState = "waiting"  // for the end of the one before it
	RunSucceeded RunState = "succeeded"
	RunFailed    RunState = "failed"
	RunTimedOut  RunState = "timed out"
	RunReplaced  RunState = "replaced" // by the next one
	RunStopped   RunState = "stopped"  // with the app
	RunSkipped   RunState = "skipped"  // another one was under way
	RunMissed    RunState = "missed"   // nobody could run it, and then it was too late
)

// Run is one time that a job ran, or should have.
type Run struct {
	ID      uint64       `json:"id"`
	State   RunState     `json:"state"`
	Due     time.Time    `json:"due"`
	Started time.Time    `json:"started,omitzero"`
	Ended   time.Time    `json:"ended,omitzero"`
	Took    app.Duration `json:"took,omitempty"`
	Tries   int          `json:"tries,omitempty"`
	Exit    string       `json:"exit,omitempty"`   // of the last try, as "exit status 1"
	Code    int          `json:"code,omitempty"`   // of the last try, as a shell has it
	Why     string       `json:"why,omitempty"`    // it was skipped
	Missed  int          `json:"missed,omitempty"` // times before this one, or this one too, that nobody could run
	Stderr  []string     `json:"stderr,omitempty"` // the last lines of a try that failed
}
