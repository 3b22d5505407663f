// Package muster makes a Go server a worker: one of many processes that serve the same address under a master.
//
//	func main() {
//		if err := muster.ListenAndServe(":3000", handler); err != nil {
//			log.Fatal(err)
//		}
//	}
//
// That program runs on its own, under muster, under systemd's socket activation, and under a Node master
// (child_process.fork or cluster). It finds out by itself, in this order:
//
//  1. NODE_CHANNEL_FD: Node's IPC channel. With NODE_UNIQUE_ID the process is a cluster worker and asks its primary for
//     every address it listens on; the primary answers with a socket or hands over single connections. Without it the
//     process waits for a server (or for sockets) that the master sends.
//  2. LISTEN_FDS and LISTEN_PID: listening sockets inherited from systemd or from muster.
//  3. Neither: it binds the address itself.
//
// NOTIFY_SOCKET, wherever the sockets come from, is told READY=1, STOPPING=1 and, when WATCHDOG_USEC asks for it, WATCHDOG=1.
// The last is a sign of life, as is the answer to a ping on the channel: it is given as long as the program takes the
// connections that come, and as what it has given to [Alive] returns.
//
// # Addresses
//
// MUSTER_LISTEN holds the addresses that the operator gave to the master, separated by spaces. If it is not empty it wins
// over the address in the program for the first [Listen], [Serve] or [ListenAndServe] call. An empty address means
// MUSTER_LISTEN, then ":" + PORT, then ":8080".
//
// # Life of a worker
//
// The worker is ready when its server accepts for the first time, or when the program calls [Ready] if [Options.ManualReady] is set.
//
// It drains when its master asks (the disconnect message), on SIGTERM and on SIGINT: it stops accepting, answers what it
// has accepted, closes idle connections, and the Serve functions return nil, so that main ends and the process exits 0.
// The listening socket belongs to the master, so what still waits in its queue is served by another worker.
//
// It dies when a handler panics (if the listening socket outlives the process, so that a successor can serve), when a
// function started by [Go] panics, or when the program says so by [Dying]: it announces that first, so that the master
// starts the replacement at once, then drains, and the process exits 1.
//
// When the master is gone without a word, the worker drains for at most two seconds and exits 0.
//
// # First use
//
// Importing the package has no effect. The first call of any of its functions reads the variables above, removes them
// from the environment (MUSTER_APP, MUSTER_SLOT, MUSTER_ID, MUSTER_GENERATION and MUSTER_SPARE stay: they are only
// information) and marks the descriptors close-on-exec. A program that starts other programs before it serves should
// call [Worker] first thing in main, so that they do not inherit what is meant for it.
package muster
