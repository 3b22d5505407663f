package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/musterd/muster/internal/testutil"
)

// findPM2 is PM2's program, which is fetched from the npm registry into .cache at first use.
func findPM2(ctx context.Context) (string, error) {
	dir := filepath.Join(testutil.Root(), ".cache", "pm2")
	program := filepath.Join(dir, "node_modules", "pm2", "bin", "pm2")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	cmd := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--prefix", dir, "pm2@7")
	cmd.Env = append(os.Environ(), "HOME="+userHome)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetch PM2: %w\n%s", err, out)
	}
	return program, nil
}
