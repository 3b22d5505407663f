package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/musterd/muster/internal/daemon"
	"github.com/musterd/muster/internal/master"
)

// resume is what a process does that a master has become by an upgrade, or that a master asks before that. It is false for all others.
func resume(stdout, stderr *os.File) (code int, ok bool) {
	if os.Getenv(master.PreflightVariable) != "" {
		fmt.Fprintln(stdout, master.Preflight())
		return exitOK, true
	}
	if os.Getenv(daemon.PreflightVariable) != "" {
		fmt.Fprintln(stdout, daemon.Preflight)
		return exitOK, true
	}
	number := os.Getenv(master.RestoreVariable)
	if number == "" {
		return exitOK, false
	}
	_ = os.Unsetenv(master.RestoreVariable) // it is for this process alone
	code, err := master.Restore(context.Background(), number, revived)
	if err != nil {
		fmt.Fprintln(stderr, "muster: "+err.Error())
	}
	return code, true
}
