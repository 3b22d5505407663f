// Package fdstore keeps named descriptors for a process that may die, by systemd's own protocol (sd_pid_notify_with_fds(3)), so that
// systemd can stand in for the [Store] here, and the other way round.
//
//	process                                     Store, or systemd
//	  │ FDSTORE=1, FDNAME=n, FDPOLL=0, + fd       │
//	  ├──────────────────────────────────────────►│ kept
//	  │ FDSTOREREMOVE=1, FDNAME=n                 │
//	  ├──────────────────────────────────────────►│ closed
//	  ╳ killed                                    │
//	next process                                  │
//	  │◄── from descriptor 3 on, LISTEN_FDNAMES ──┤
//
// What the process sent before its end waits in the socket and is kept, too.
//
// Where the store may be killed together with the process there is a second way: a [Box], whose descriptor a third process holds without knowing
// of it.
package fdstore
