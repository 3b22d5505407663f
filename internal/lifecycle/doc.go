// Package lifecycle decides what happens to the workers of one app, and does nothing itself.
//
// It is a pure function over plain data: Step takes the state, a moment and an event, and returns the effects that somebody
// else carries out. It reads no clock, does no I/O and starts no goroutine, so that every story of a crash, a reload or a
// stop can be told to it in a test, and so that a snapshot of State is all that an upgrade needs.
//
//	        Spawn                Ready                 Drain                    Kill
//	(slot) ───────► starting ──────────► serving ───────────────► draining ───────────► killing
//	                   │                    │                         │                    │
//	                   └────────────────────┴──────── Exited ─────────┴────────────────────┘
//
// A spare is a worker without a slot: it starts, waits, and enters its slot by Promote.
//
// Each Step ends with a plan: the difference between what the slots should hold and what they hold becomes effects. Deadlines are
// fields, so a deadline cannot outlive its worker; NextDeadline says when the next Tick is due.
package lifecycle
