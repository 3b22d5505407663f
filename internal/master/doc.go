// Package master supervises one app: it opens the listeners, owns the workers, and carries out what package lifecycle decides.
//
//	signals ──┐                            ┌─► proc    spawn, signal, wait
//	channels ─┤                            ├─► nodeipc hand-off over Node's channel
//	notify ───┼─► loop ──Step──► effects ──┼─► sock    slots, accept queues
//	exits ────┤   (owns all state)         └─► logs    what it did, and what workers write
//	queues ───┘
//
// One goroutine, the loop, owns everything in Master. The others read one thing each (a channel, a notify socket, a process, the
// queues), post what they saw to the loop, and end when their thing ends.
package master
