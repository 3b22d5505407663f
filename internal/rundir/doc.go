// Package rundir keeps the folders in which the masters of a user are found by name.
//
//	BASE/               $MUSTER_HOME/run, $XDG_RUNTIME_DIR/muster, /run/muster for root, or muster-UID among the temporary files
//	├─ NAME/
//	│  ├─ lock          held by an open descriptor for as long as the master lives
//	│  ├─ master.json   Info: who it is, and where its socket is
//	│  └─ control.sock  in the private folder instead where the path would be too long
//	├─ .daemon/         the same of the daemon, with starting, held by who starts it
//	└─ .m123456/        the private folder of one master: its workers' notify sockets; it goes with the master, whatever ended it
//
// Whether a master lives is told by its lock and its socket, never by a file: what a killed one left behind means nothing.
package rundir
