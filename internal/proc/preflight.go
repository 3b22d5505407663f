package proc

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

const preflightTime = 10 * time.Second

// Preflight starts a binary that this process may become, with variable set, and returns what it answers on stdout, without space around. It is
// bounded by ctx and by ten seconds. The error tells that the binary does not start, or ends with a failure.
func Preflight(ctx context.Context, path, variable string) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, preflightTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = append(os.Environ(), variable+"=1")
	var out bytes.Buffer
	cmd.Stdout = &out
	release, err := Own(func() (int, error) {
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		return cmd.Process.Pid, nil
	})
	if err != nil {
		return "", fmt.Errorf("start %s: %w", path, err)
	}
	defer release()
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("try %s: %w", path, err)
	}
	return strings.TrimSpace(out.String()), nil
}
