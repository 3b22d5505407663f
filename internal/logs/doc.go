// Package logs takes what workers write to stdout and stderr, and the master's own records, into one stream of whole lines.
//
//	worker ─pipe─► Pump ─┬─► Sink ─► the writer (a terminal, a pipe, a file)
//	                     └─► Ring   the last lines, for exit reports
//	master ─slog─► Async ─► NewHandler ─► Sink
//
// Nothing here grows with what a worker writes. A writer that blocks, as a paused terminal does, holds up the pumps, and through
// their pipes in the end the workers; Async keeps it from holding up the master.
package logs
