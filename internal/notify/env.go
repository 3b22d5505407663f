package notify

import (
	"slices"
	"strings"
)

// Inherited lists the variables by which a manager above speaks to us and to us alone. In a worker's environment they would name
// sockets and file descriptors that the worker does not have, or make it talk to a manager that does not know it. Families of
// variables that end in a number are not listed; CleanEnv knows them. CREDENTIALS_DIRECTORY is not among them: what it names is
// meant for the whole service.
var Inherited = []string{
	// systemd: sockets, state, who is who, output and memory of this very process
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID",
	"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FDSTORE",
	"MAINPID", "MAINPIDFDID", "MANAGERPID", "MANAGERPIDFDID", "SYSTEMD_EXEC_PID", "INVOCATION_ID",
	"JOURNAL_STREAM", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
	// Node: child_process and cluster
	"NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID",
	// another muster
	"MUSTER_SPARE", "MUSTER_STORE",
	// Einhorn and Server::Starter
	"EINHORN_MASTER_PID", "EINHORN_SOCK_PATH", "EINHORN_SOCK_FD", "EINHORN_FD_COUNT", "EINHORN_FDS", "EINHORN_CHILD_INDEX",
	"SERVER_STARTER_PORT", "SERVER_STARTER_GENERATION",
	// servers that replace themselves
	"GUNICORN_FD", "GUNICORN_PID", "UNICORN_FD", "UWSGI_EMPEROR_FD", "FPM_SOCKETS",
}

// numbered are the families of such variables whose names go on with a number.
var numbered = []string{"EINHORN_FD_", "PUMA_INHERIT_", "FPM_SOCKETS_"}

// CleanEnv returns env, in the form of os.Environ, without the variables of a manager above. It leaves env as it is.
func CleanEnv(env []string) []string {
	clean := make([]string, 0, len(env))
	for _, entry := range env {
		if name, _, _ := strings.Cut(entry, "="); !inherited(name) {
			clean = append(clean, entry)
		}
	}
	return clean
}

func inherited(name string) bool {
	if slices.Contains(Inherited, name) {
		return true
	}
	return slices.ContainsFunc(numbered, func(prefix string) bool {
		rest, ok := strings.CutPrefix(name, prefix)
		return ok && rest != "" && strings.Trim(rest, "0123456789") == ""
	})
}
