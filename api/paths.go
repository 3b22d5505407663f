package api

// Paths of the API.
const (
	PathHealth    = "/healthz"
	PathReady     = "/readyz"
	PathApp       = "/v1/app"
	PathEnv       = "/v1/env"
	PathLaunch    = "/v1/launch"
	PathEvents    = "/v1/events"
	PathLogs      = "/v1/logs"
	PathReload    = "/v1/reload"
	PathRollback  = "/v1/rollback"
	PathScale     = "/v1/scale"
	PathStop      = "/v1/stop"
	PathUpgrade   = "/v1/upgrade"
	PathKeep      = "/v1/keep"
	PathSignal    = "/v1/signal"
	PathReset     = "/v1/reset"
	PathReopen    = "/v1/logs/reopen"
	PathOperation = "/v1/operations/{id}"
)

// Paths of the daemon's API, beside PathHealth and PathEvents.
const (
	PathDaemon     = "/v1/daemon"
	PathDaemonStop = "/v1/daemon/stop"
	// PathDaemonUpgrade is POST: the daemon becomes the program that is now installed, in place. It answers as it was; who waits for the new one asks
	// PathDaemon when the stream of events has ended.
	PathDaemonUpgrade = "/v1/daemon/upgrade"
	PathApps          = "/v1/apps"
	PathEntry         = "/v1/apps/{name}"
	PathEntryStart    = "/v1/apps/{name}/start"
	PathEntryStop     = "/v1/apps/{name}/stop"
	PathRestart       = "/v1/apps/{name}/restart"
	PathEntryReset    = "/v1/apps/{name}/reset"
	PathSave          = "/v1/save"
	PathResurrect     = "/v1/resurrect"
)

// HeaderPosition is, in the answer to PathLogs, the position behind its lines, for ParamSince.
const HeaderPosition = "Muster-Log-Position"

// Query parameters.
const (
	ParamSince  = "since"  // of PathEvents: the last revision that the client knows; of PathLogs: the position that it knows
	ParamFollow = "follow" // of PathLogs: "true" goes on until the client goes
	ParamWith   = "with"   // WithSecrets; of PathApps and PathEntry also WithEnv and WithApps
	ParamIdle   = "idle"   // of PathEntry: how long the answer may wait until no master of the app runs, as "30s"
	ParamHeld   = "held"   // of PathEntry: how long the answer may wait while the app is held for what ParamWhy says, as "30s"
	ParamWhy    = "why"    // of PathEntry with ParamHeld: the Why of the entry that the client knows
	ParamWait   = "wait"   // of PathOperation: how long the answer may wait for the end of the operation, as "30s"
)

// What ParamWith may ask for, separated by commas.
const (
	WithSecrets = "secrets" // of every path: values that are secrets, which are masked else
	WithEnv     = "env"     // the environment of who started the app
	WithApps    = "apps"    // what the masters answer
)

// ScaleRequest is the body of PathScale.
type ScaleRequest struct {
	// Workers is the number of slots: "4", "max", "50%" of the CPUs, or relative to what there is: "+1", "-1".
	Workers string `json:"workers"`
}

// SignalRequest is the body of PathSignal.
type SignalRequest struct {
	Signal string `json:"signal"`         // "HUP", "SIGHUP" or "1"
	Slot   *int   `json:"slot,omitempty"` // of the worker; nil: all workers
}

// SignalAnswer tells whom a signal was sent to.
type SignalAnswer struct {
	Signal  string   `json:"signal"`  // as SIGHUP
	Workers []uint64 `json:"workers"` // their IDs
}

// ReopenAnswer tells which log files a master opens again.
type ReopenAnswer struct {
	Files []string `json:"files"` // none: lines go to the standard streams
}

// StopRequest is the body of PathStop; it may be absent.
type StopRequest struct {
	Now bool `json:"now,omitempty"` // kill the workers without waiting for them
	// With are the apps that are being stopped at the same time. The daemon lets those that depend on this one end first. A master ignores it.
	With []string `json:"with,omitempty"`
}
