package api

import (
	"time"

	"github.com/musterd/muster/internal/app"
)

// Launch is what a master is started from: a spec, and what its relative names and its environment mean.
type Launch struct {
	Spec     app.Spec `json:"spec"`
	Base     string   `json:"base"`                // absolute directory from which relative names count
	FileForm bool     `json:"file_form,omitempty"` // the command may begin with a file that an interpreter runs
	Env      []string `json:"env"`                 // NAME=value, of who asked for the start
}

// Daemon is the process that keeps the masters of a user.
type Daemon struct {
	PID     int       `json:"pid"`
	Version string    `json:"version,omitempty"`
	Started time.Time `json:"started"`
	State   string    `json:"state_dir"` // where it keeps what has to outlive it
	Apps    int       `json:"apps"`

	Upgrades int `json:"upgrades,omitempty"` // how often this process has become another program
}

// EntryState is what the daemon knows of a master, in one word.
type EntryState string

// The states of an entry.
const (
	EntryStopped  EntryState = "stopped"
	EntryHeld     EntryState = "held"     // it waits for apps that it depends on
	EntryStarting EntryState = "starting" // its master opens the sockets
	EntryRunning  EntryState = "running"  // its master runs: the app may serve or not
	EntryStopping EntryState = "stopping"
	EntryWaiting  EntryState = "waiting" // for the next try to start its master, which ended as it should not
	EntryFailed   EntryState = "failed"  // its master could not start, or gave up
)

// Entry is an app that the daemon keeps.
type Entry struct {
	ID        int        `json:"id"` // never used again
	Name      string     `json:"name"`
	State     EntryState `json:"state"`
	Since     time.Time  `json:"since"`
	Why       string     `json:"why,omitempty"`  // of stopped, held, waiting and failed
	Hint      string     `json:"hint,omitempty"` // what to do about it
	PID       int        `json:"pid,omitempty"`  // of the master
	Socket    string     `json:"socket,omitempty"`
	Masters   int        `json:"masters_lost"`        // how often another master had to take over
	RetryAt   time.Time  `json:"retry_at,omitzero"`   // of waiting
	Waits     []Wait     `json:"waits,omitempty"`     // of held
	Completed bool       `json:"completed,omitempty"` // a job that runs once, and did so last with success
	Changed   bool       `json:"unsaved,omitempty"`   // since the last save
	Unwritten string     `json:"unwritten,omitempty"` // why the next daemon would not know it as it is; it is tried again
	Launch    *Launch    `json:"launch,omitempty"`    // without Env unless that was asked for
	App       *App       `json:"app,omitempty"`       // while its master answers
	Silent    string     `json:"no_answer,omitempty"` // why there is no App although the master runs
}

// StartRequest is the body of POST PathApps.
type StartRequest struct {
	Launch
	// UpdateEnv makes a change of the environment alone a reason to reload; else it is taken over at the next reload.
	UpdateEnv bool `json:"update_env,omitempty"`
	// Keep has an app that cannot start stay known, as failed: others depend on it.
	Keep bool `json:"keep,omitempty"`
}

// StartOutcome is what a start has come to, in one word.
type StartOutcome string

// The outcomes of a start.
const (
	StartedNew       StartOutcome = "started"   // a master was started
	StartedUnchanged StartOutcome = "unchanged" // it runs as it should: nothing was done
	StartedHeld      StartOutcome = "held"      // it starts as soon as the apps that it depends on have come far enough
	StartedReload    StartOutcome = "reloading" // it runs, and is being reloaded to become what it should be
)

// StartAnswer is the answer of a start or restart.
type StartAnswer struct {
	Outcome   StartOutcome `json:"outcome"`
	Changed   []string     `json:"changed,omitempty"` // fields of the spec
	Entry     Entry        `json:"entry"`
	Operation *Operation   `json:"operation,omitempty"` // of a reload
}

// Wait is what an app that is held waits for.
type Wait struct {
	On    string        `json:"on"`            // name of an app
	Until app.Condition `json:"until"`         // that it must have reached
	Why   string        `json:"why,omitempty"` // it will not without somebody's help; empty: it may
}

// StopAnswer is the answer of a stop by the daemon.
type StopAnswer struct {
	Entry     Entry      `json:"entry"`
	Operation *Operation `json:"operation,omitempty"` // of the master; nil: no master runs
	Left      []string   `json:"left,omitempty"`      // apps that run and depend on this one
}

// ReloadRequest is the body of PathReload; it may be absent.
type ReloadRequest struct {
	Launch *Launch `json:"launch,omitempty"` // to become; nil: what it was started from
}

// SaveAnswer is the answer of PathSave and PathResurrect.
type SaveAnswer struct {
	File    string   `json:"file"`
	Names   []string `json:"names"`             // of the apps that were saved, or started
	Skipped []string `json:"skipped,omitempty"` // of those that run already
	Failed  []string `json:"failed,omitempty"`  // as "name: reason"
}

// RestartRequest is the body of PathRestart; it may be absent.
type RestartRequest struct {
	Now bool     `json:"now,omitempty"` // kill the workers without waiting for them
	Env []string `json:"env,omitempty"` // the environment from now on; nil: as it was
}

// DaemonStopRequest is the body of PathDaemonStop; it may be absent.
type DaemonStopRequest struct {
	LeaveApps bool `json:"leave_apps,omitempty"` // the masters go on, for the next daemon to find
}

// KeepRequest is the body of PathKeep.
type KeepRequest struct {
	// Socket is the notify socket of who keeps the master's descriptors from now on. It is given all of them before the answer.
	Socket string `json:"socket"`
}
