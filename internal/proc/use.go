package proc

import "time"

// Use is what the processes of a session take.
type Use struct {
	CPU       time.Duration // that they and their children that have ended have computed
	Memory    int64         // resident, in bytes; what processes share counts for each
	Processes int
	Born      uint64 // start of the session's leader in clock ticks after boot; zero: it is gone
}
