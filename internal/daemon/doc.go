// Package daemon keeps the masters of a user: it starts each in a session of its own, notices its end, starts the next where one was
// killed, and remembers what shall run.
//
//	CLI ──API──► Daemon ──► keeper (one per app) ──► master
//	                │           │  ▲                   │
//	                │           │  └──── events ───────┤ its control socket
//	                │           └─ its file: what shall run
//	                └─ feed: the events of all
//
// A keeper is one goroutine that owns everything about its app. Masters do not depend on the daemon: the next one finds them again by
// package rundir, and by the file of each app.
package daemon
