package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/musterd/muster/internal/fdpass"
	"github.com/musterd/muster/internal/master"
)

// resume is what a process does that a master has become by an upgrade, or that a master asks before that. It is false for all others.
func resume(stdout, stderr *os.File) (code int, ok bool) {
	if os.Getenv(master.PreflightVariable) != "" {
		fmt.Fprintln(stdout, master.Preflight())
		return exitOK, true
	}
	number := os.Getenv(master.RestoreVariable)
	if number == "" {
		return exitOK, false
	}
	_ = os.Unsetenv(master.RestoreVariable) // it is for this process alone
	code, err := restore(number)
	if err != nil {
		fmt.Fprintln(stderr, "muster: "+err.Error())
	}
	return code, true
}

func restore(number string) (int, error) {
	fd, err := strconv.Atoi(number)
	if err != nil {
		return exitFailed, fmt.Errorf("read %s: %w", master.RestoreVariable, err)
	}
	data, err := fdpass.ReadMemfd(fd)
	if err != nil {
		return exitFailed, fmt.Errorf("read the snapshot of the former master: %w", err)
	}
	if err := syscall.Close(fd); err != nil {
		return exitFailed, fmt.Errorf("close the snapshot of the former master: %w", err)
	}
	return master.Restore(context.Background(), data, func(c master.Config) master.Config {
		c.Reload, c.Version = resolveAgain, release()
		return c
	})
}
