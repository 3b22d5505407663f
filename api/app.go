package api

import (
	"time"

	"github.com/musterd/muster/internal/app"
)

// NoSlot is the slot of a worker that has none: a spare.
const NoSlot = -1

// App is everything about an app at one moment.
type App struct {
	Name       string      `json:"name"`
	PID        int         `json:"pid"` // of the master
	Version    string      `json:"version,omitempty"`
	Started    time.Time   `json:"started"`             // when the master was
	Dir        string      `json:"dir"`                 // that the master was started in
	Revision   uint64      `json:"revision"`            // of the last Event before this moment
	State      AppState    `json:"state"`               //
	Generation uint64      `json:"generation"`          // the last one that proved itself
	Rolling    uint64      `json:"rolling,omitempty"`   // the generation that a reload is bringing in
	Previous   uint64      `json:"previous,omitempty"`  // the generation that a rollback would bring back; zero: none
	Spec       app.Spec    `json:"spec"`                // completed
	Command    []string    `json:"command"`             // as it runs, placeholders not expanded
	Kind       string      `json:"kind"`                // of program: node, sdk or other
	Handoff    string      `json:"handoff"`             // in force, never auto
	Balance    string      `json:"balance"`             // in force, never auto
	BalanceWhy string      `json:"balance_why"`         // a sentence
	Workers    int         `json:"workers"`             // slots that shall be served
	Serving    int         `json:"serving"`             // of these, those that are
	Respawns   int         `json:"respawns"`            // over all slots
	Hangs      int         `json:"hangs"`               // workers that were hung, over all slots
	Rescued    uint64      `json:"rescued"`             // connections that were taken from a blocked worker's queue and served by another
	Rescuing   int         `json:"rescuing,omitempty"`  // connections on their way from one worker to another now
	HoldUntil  time.Time   `json:"hold_until,omitzero"` // no slot that failed gets a worker before: the app fails too often
	Listeners  []Listener  `json:"listeners"`
	Slots      []Slot      `json:"slots"`
	Spares     []Worker    `json:"spares"`
	SpareExits []Exit      `json:"spare_exits,omitempty"`
	Usage      *Usage      `json:"usage,omitempty"` // of all workers together; nil where the system does not tell, and in events
	Operations []Operation `json:"operations"`      // the last ones, oldest first
	Logs       Logs        `json:"logs"`
	Limits     []Limit     `json:"limits,omitempty"`  // that workers are to have
	Refused    []string    `json:"refused,omitempty"` // what the machine did not grant of these, and of niceness and the like

	Schedule *Schedule `json:"schedule,omitempty"`  // of a job
	Runs     []Run     `json:"runs,omitempty"`      // of a job: the last ones, oldest first
	ReloadAt *Schedule `json:"reload_at,omitempty"` // when the app is reloaded
}

// Limit is a limit of what workers use.
type Limit struct {
	Of      string `json:"of"`                // each process, each worker, all workers together
	Name    string `json:"name"`              // memory, cpu, tasks; of a process those of setrlimit
	Value   string `json:"value"`             // as it was written
	Group   int    `json:"group,omitempty"`   // the version of control groups by which it is kept; zero: it is not one of a group, or not in force
	Refused string `json:"refused,omitempty"` // why it is not in force
}

// Logs tells where the lines of an app are.
type Logs struct {
	Dir    string   `json:"dir,omitempty"`   // folder of log files; empty: none
	Files  []string `json:"files,omitempty"` // that are written, with their folders; none: all lines go to the standard streams
	Format string   `json:"format"`          // of the files: text, json or raw
}

// AppState is an app in one word.
type AppState string

// The states of an app.
const (
	AppStarting  AppState = "starting" // not all slots have been served yet
	AppServing   AppState = "serving"  // every slot is served
	AppDegraded  AppState = "degraded" // some slots are served
	AppDown      AppState = "down"     // none is
	AppStopping  AppState = "stopping"
	AppRunning   AppState = "running"   // a job: a run is under way
	AppScheduled AppState = "scheduled" // a job: the next run is to come
	AppCompleted AppState = "completed" // a job: its only run has ended
)

// Listener is an address of the app.
type Listener struct {
	Name     string `json:"name"`
	Network  string `json:"network"`
	Address  string `json:"address"`          // as bound
	Declared bool   `json:"declared"`         // in the spec; else a worker asked for it
	Shared   bool   `json:"shared"`           // one queue for all slots
	Waiting  int    `json:"waiting"`          // connections in its queues now
	Sockets  int    `json:"sockets"`          //
	Closed   bool   `json:"closed,omitempty"` // given up: the worker binds by itself
}

// SlotState is a slot in one word.
type SlotState string

// The states of a slot.
const (
	SlotServing    SlotState = "serving"
	SlotBlocked    SlotState = "blocked" // its worker leaves connections waiting
	SlotStarting   SlotState = "starting"
	SlotBackingOff SlotState = "backing off"
	SlotCrashLoop  SlotState = "crash-looping" // failed many times in a row; it is tried on
	SlotGaveUp     SlotState = "gave up"
	SlotEmpty      SlotState = "empty"   // waits for its turn to start
	SlotClosing    SlotState = "closing" // goes with its worker
)

// Slot is a stable seat for one worker after the other.
type Slot struct {
	Slot         int       `json:"slot"`
	State        SlotState `json:"state"`
	Workers      []Worker  `json:"workers"` // oldest first; two while one replaces the other
	Respawns     int       `json:"respawns"`
	Hangs        int       `json:"hangs"`    // workers that were hung
	Failures     int       `json:"failures"` // in a row
	CrashLooping bool      `json:"crash_looping"`
	GaveUp       bool      `json:"gave_up"`
	NextSpawn    time.Time `json:"next_spawn,omitzero"` // not before
	Waiting      int       `json:"waiting"`             // connections in its own queues now
	Exits        []Exit    `json:"exits"`               // the last five, oldest first
}

// Worker is a process of the app.
type Worker struct {
	ID           uint64    `json:"id"`   // never used again
	Slot         int       `json:"slot"` // NoSlot: a spare
	PID          int       `json:"pid"`  // zero while it is being started
	Generation   uint64    `json:"generation"`
	Phase        string    `json:"phase"` // starting, waiting (a booted spare), serving, draining, killing
	Since        time.Time `json:"since"` // when the phase began
	Started      time.Time `json:"started,omitzero"`
	ReadyAt      time.Time `json:"ready_at,omitzero"`
	Reason       string    `json:"reason,omitempty"`    // why it is on its way out
	Status       string    `json:"status,omitempty"`    // what it says of itself
	Recycling    string    `json:"recycling,omitempty"` // why it is to be replaced by a fresh one, in its turn
	Memory       app.Size  `json:"memory,omitempty"`    // that it used when it was last looked at, with --max-memory
	Usage        *Usage    `json:"usage,omitempty"`
	BlockedSince time.Time `json:"blocked_since,omitzero"`
	Senses       []Sense   `json:"senses,omitempty"`  // by which it is watched for a hang, with --hang-timeout
	Process      string    `json:"process,omitempty"` // what it does now, where it is watched: "asleep, 1.2s of CPU time so far"
	Spared       string    `json:"spared,omitempty"`  // why it was not called hung when it was silent last
	KillAt       time.Time `json:"kill_at,omitzero"`  // when it will be killed if it has not ended
}

// Usage is what processes take of the machine: those of a worker that have not left its session.
type Usage struct {
	CPU       float64      `json:"cpu"`      // percent of one CPU, since somebody has asked last, at least a second ago; at first since its start
	CPUTime   app.Duration `json:"cpu_time"` // in all
	Memory    app.Size     `json:"memory"`   // resident; what processes share counts for each
	Processes int          `json:"processes"`
}

// WorkerEnv is the environment that a worker was started with.
type WorkerEnv struct {
	Worker     uint64   `json:"worker"`
	Slot       int      `json:"slot"` // NoSlot: a spare
	PID        int      `json:"pid"`
	Generation uint64   `json:"generation"`
	Env        []string `json:"env"` // NAME=value, sorted
	// Planned tells that Env is what the master would start it with now: the program has written over its own, or the system does not tell it.
	Planned bool `json:"planned,omitempty"`
}

// Sense is one of the ways to notice that a worker hangs.
type Sense struct {
	Name   string `json:"name"` // ping, queue or heartbeat
	Silent bool   `json:"silent,omitempty"`
	Says   string `json:"says"` // as "answered 300ms ago"
}

// Exit is the report of a worker's end.
type Exit struct {
	Worker     uint64       `json:"worker"`
	PID        int          `json:"pid,omitempty"` // zero: it was never started
	Generation uint64       `json:"generation"`
	At         time.Time    `json:"at"`
	Lived      app.Duration `json:"lived,omitempty"`
	Why        string       `json:"why"`                // as "exit status 1"
	Reason     string       `json:"reason,omitempty"`   // why it was on its way out before
	Recycled   string       `json:"recycled,omitempty"` // why it was replaced by a fresh one
	Hang       string       `json:"hang,omitempty"`     // how it was seen to be hung
	Failed     bool         `json:"failed"`             // it should not have ended
	RetryIn    app.Duration `json:"retry_in,omitempty"`
	Stderr     []string     `json:"stderr,omitempty"` // its last lines
}
