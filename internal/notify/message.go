// Package notify speaks systemd's notification protocol (sd_notify(3)) and its way of passing sockets (sd_listen_fds(3)), each in
// both directions: as the manager of workers, and as a service under a manager above.
//
// Message, Parse, ListenEnv, ParseListenEnv and CleanEnv are pure. Socket and Send are the only I/O: the datagram socket that
// carries the messages.
package notify

import "time"

// MaxSize is the longest message in bytes, as systemd reads it (its NOTIFY_BUFFER_MAX). A longer one is an error.
const MaxSize = 4096

// Values of Message.Watchdog.
const (
	WatchdogPing    = "1"       // the sender is alive
	WatchdogTrigger = "trigger" // the sender asks to be treated as hung
)

// Message is one notification: what one datagram says. Its zero value says nothing.
type Message struct {
	Ready     bool // READY=1: the sender serves, or has finished its reload
	Stopping  bool // STOPPING=1: the sender has begun to go
	Reloading bool // RELOADING=1: the sender reloads; needs MonotonicUSec and a later Ready

	Status    string // STATUS: one line for humans, valid UTF-8
	HasStatus bool   // tells an empty status, which clears the former one, from none

	Errno   int // ERRNO: why the sender failed; 0: not said
	MainPID int // MAINPID: the process that stands for the sender from now on; 0: not said

	Watchdog          string        // WATCHDOG: WatchdogPing, WatchdogTrigger or empty
	WatchdogPeriod    time.Duration // WATCHDOG_USEC: the new period of pings, in whole microseconds
	HasWatchdogPeriod bool          // tells a period of 0, which ends the watch, from none
	ExtendTimeout     time.Duration // EXTEND_TIMEOUT_USEC: another message comes within this time, in whole microseconds

	FDStore       bool   // FDSTORE=1: keep the file descriptors of this datagram
	FDStoreRemove bool   // FDSTOREREMOVE=1: forget the kept ones named FDName
	FDName        string // FDNAME: a ValidName
	FDPoll        *bool  // FDPOLL: false keeps a descriptor also after EPOLLHUP or EPOLLERR; nil: not said, means true

	Barrier       bool   // BARRIER=1: close the one file descriptor when all earlier messages are processed; travels alone
	MonotonicUSec uint64 // MONOTONIC_USEC: CLOCK_MONOTONIC in microseconds when a reload began; 0: not said

	Unknown []string // KEY=VALUE lines of other keys, in order, so that they can be passed on
}
