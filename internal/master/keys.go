package master

// The keys of the log's attributes, beside those of package logs.
const (
	keyBinary   = "binary"
	keyUpgrades = "upgrades"
	keyAfter    = "after"
	keyBalance  = "balance"
	keyCode     = "code"
	keyEffect   = "effect"
	keyError    = "error"
	keyExit     = "exit"
	keyFrom     = "from"
	keyHandoff  = "handoff"
	keyHint     = "hint"
	keyListen   = "listen"
	keyListener = "listener"
	keyLived    = "lived"
	keyOp       = "op"
	keyReason   = "reason"
	keyRetryIn  = "retry_in"
	keySignal   = "signal"
	keyStatus   = "status"
	keyStderr   = "stderr"
	keyTo       = "to"
	keyWorkers  = "workers"
)
