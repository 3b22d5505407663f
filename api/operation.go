package api

import "time"

// OperationKind names what was asked for.
type OperationKind string

// The kinds of operation.
const (
	OperationReload   OperationKind = "reload"
	OperationRollback OperationKind = "rollback"
	OperationScale    OperationKind = "scale"
	OperationStop     OperationKind = "stop"
	OperationUpgrade  OperationKind = "upgrade"
)

// OperationState says how far it is.
type OperationState string

// The states of an operation.
const (
	OperationRunning OperationState = "running"
	OperationDone    OperationState = "done"
	OperationFailed  OperationState = "failed"
)

// Hook names a command of the app that runs beside a reload.
type Hook string

// The hooks.
const (
	HookBeforeReload Hook = "before_reload" // before anything happens
	HookAfterReload  Hook = "after_reload"  // when the new workers serve
)

// Operation is something that was asked of a master and takes its time. The master remembers the last ones.
type Operation struct {
	ID         string         `json:"id"`
	Kind       OperationKind  `json:"kind"`
	State      OperationState `json:"state"`
	Started    time.Time      `json:"started"`
	Ended      time.Time      `json:"ended,omitzero"`
	Generation uint64         `json:"generation,omitempty"`  // that it brings in
	From       int            `json:"from,omitempty"`        // of scale: the slots before
	Workers    int            `json:"workers,omitempty"`     // of scale: the slots wanted
	Done       int            `json:"done"`                  // slots that are as the operation wants them
	Total      int            `json:"total"`                 //
	Reason     string         `json:"reason,omitempty"`      // why it failed
	Hint       string         `json:"hint,omitempty"`        // what to do about it
	Hook       Hook           `json:"hook,omitempty"`        // of reload: that runs, or ran last
	Worker     uint64         `json:"worker,omitempty"`      // that made it fail
	Stderr     []string       `json:"stderr_tail,omitempty"` // the last lines of that worker, or of the hook that made it fail
}
