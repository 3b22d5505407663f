// Package logread reads the log files that package logs writes: what was written, archives included, and what is being written.
//
//	Open(sources) ─► Tail ─┬─ Past     merged by time, or the last lines alone
//	                       └─ Follow   from there on, across rotations: nothing is left out, nothing comes twice
package logread
