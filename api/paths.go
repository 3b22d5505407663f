package api

// Paths of the API.
const (
	PathHealth    = "/healthz"
	PathReady     = "/readyz"
	PathApp       = "/v1/app"
	PathEvents    = "/v1/events"
	PathReload    = "/v1/reload"
	PathRollback  = "/v1/rollback"
	PathScale     = "/v1/scale"
	PathStop      = "/v1/stop"
	PathUpgrade   = "/v1/upgrade"
	PathOperation = "/v1/operations/{id}"
)

// Query parameters.
const (
	ParamSince = "since" // of PathEvents: the last revision that the client knows
	ParamWait  = "wait"  // of PathOperation: how long the answer may wait for the end of the operation, as "30s"
)

// ScaleRequest is the body of PathScale.
type ScaleRequest struct {
	// Workers is the number of slots: "4", "max", "50%" of the CPUs, or relative to what there is: "+1", "-1".
	Workers string `json:"workers"`
}

// StopRequest is the body of PathStop; it may be absent.
type StopRequest struct {
	Now bool `json:"now,omitempty"` // kill the workers without waiting for them
}
