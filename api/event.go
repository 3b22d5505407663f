package api

import (
	"time"

	"github.com/musterd/muster/internal/app"
)

// EventKind says what happened.
type EventKind string

// The kinds of event.
const (
	EventSnapshot     EventKind = "snapshot"      // everything, in App: what was known before is to be forgotten
	EventOperation    EventKind = "operation"     // one began, moved on or ended
	EventStarted      EventKind = "started"       // a worker's process runs
	EventNotStarted   EventKind = "not-started"   // a worker's process could not be started
	EventReady        EventKind = "ready"         // the worker serves; of a spare: it has booted
	EventServing      EventKind = "serving"       // every slot is served
	EventDraining     EventKind = "draining"      // the worker was told to finish and go
	EventKilled       EventKind = "killed"        // it was killed, for it had not ended in time
	EventLeft         EventKind = "left"          // it exited, as it should
	EventFailed       EventKind = "failed"        // it exited, as it should not
	EventNotReady     EventKind = "not-ready"     // it was not ready in time
	EventDying        EventKind = "dying"         // it said that it will exit
	EventBlocked      EventKind = "blocked"       // it leaves connections waiting; others take them where they can
	EventUnblocked    EventKind = "unblocked"     //
	EventHung         EventKind = "hung"          // it served nobody for the hang timeout
	EventCrashLooping EventKind = "crash-looping" // the slot failed many times in a row
	EventRecovered    EventKind = "recovered"     // the slot that was crash-looping serves
	EventBackingOff   EventKind = "backing-off"   // the whole app fails too often
	EventGaveUp       EventKind = "gave-up"       // the slot is left empty
	EventAppGaveUp    EventKind = "app-gave-up"   // every slot was given up
	EventStopping     EventKind = "stopping"      //
	EventStopped      EventKind = "stopped"       // no worker is left; the last event
	EventCommitted    EventKind = "committed"     // the first worker of a new generation has proved itself
	EventReloaded     EventKind = "reloaded"      // every slot serves the new generation
	EventReloadFailed EventKind = "reload-failed" // the last good generation stays, or comes back
	EventRecycling    EventKind = "recycling"     // the worker is being replaced for its age, memory or requests
	EventRunBegan     EventKind = "run-began"     // of a job
	EventRunEnded     EventKind = "run-ended"     //
	EventRunSkipped   EventKind = "run-skipped"   // there is none: another one was under way, or it was too late
	EventCompleted    EventKind = "completed"     // the only run of a job has ended; the last event
	EventScaled       EventKind = "scaled"        // another number of slots is wanted
	EventReset        EventKind = "reset"         // the counters start at zero
	EventMaster       EventKind = "master"        // of the daemon: the state of an app's master is another one, told by Why
)

// Event is something that happened in an app. A stream of them begins with a snapshot unless the client has named a revision that the
// master still knows what came after; a client that is too slow is cut off and asks again.
type Event struct {
	Revision   uint64       `json:"revision"` // one more with each event
	At         time.Time    `json:"at"`
	Kind       EventKind    `json:"kind"`
	Name       string       `json:"name,omitempty"` // of the app, where events of several come together
	Slot       int          `json:"slot"`           // NoSlot: none
	Worker     uint64       `json:"worker,omitempty"`
	PID        int          `json:"pid,omitempty"`
	Generation uint64       `json:"generation,omitempty"`
	Reason     string       `json:"reason,omitempty"` // why the worker was on its way out
	Why        string       `json:"why,omitempty"`    // as "exit status 1"
	After      app.Duration `json:"after,omitempty"`  // how long it took, or until the next try
	Stderr     []string     `json:"stderr,omitempty"` // last lines of a worker that failed
	Operation  *Operation   `json:"operation,omitempty"`
	Run        *Run         `json:"run,omitempty"`
	App        *App         `json:"app,omitempty"` // of a snapshot
}
