package testutil

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// NodeVersions are the major versions of Node that muster is tested with; tools/setup-node.sh fetches them.
func NodeVersions() []int { return []int{18, 20, 22, 24, 26} }

// Node returns the path of a Node of that major version: the one that tools/setup-node.sh fetched, else the one in PATH if it is of
// that version. Without one the test is skipped, or failed in CI.
func Node(t testing.TB, major int) string {
	t.Helper()
	path := FindNode(major)
	if path == "" {
		missing(t, "node %d is missing: run tools/setup-node.sh", major)
	}
	return path
}

// FindNode is Node without a test: the path, or nothing.
func FindNode(major int) string {
	if path := fetchedNode(major); isExecutable(path) {
		return path
	}
	if path, err := exec.LookPath("node"); err == nil && nodeMajor(path) == major {
		return path
	}
	return ""
}

// AnyNode returns the path of a Node of any version in NodeVersions, for tests that do not depend on it.
func AnyNode(t testing.TB) string {
	t.Helper()
	versions := NodeVersions()
	for _, major := range versions {
		if path := fetchedNode(major); isExecutable(path) {
			return path
		}
	}
	if path, err := exec.LookPath("node"); err == nil {
		return path
	}
	missing(t, "node is missing: run tools/setup-node.sh")
	return ""
}

func fetchedNode(major int) string {
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	pkg := fmt.Sprintf("node-%s-%s", runtime.GOOS, arch)
	return filepath.Join(Root(), ".cache", "node", fmt.Sprint(major), "node_modules", pkg, "bin", "node")
}

// nodeMajor asks the program at path for its version; 0 if it does not tell.
func nodeMajor(path string) int {
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return 0
	}
	major := 0
	if _, err := fmt.Sscanf(string(bytes.TrimSpace(out)), "v%d.", &major); err != nil {
		return 0
	}
	return major
}

// PM2 returns the path of PM2's program, for Node to run: the one that tools/setup-pm2.sh fetched. Without it the test is skipped, or failed in CI.
func PM2(t testing.TB) string {
	t.Helper()
	path := filepath.Join(Root(), ".cache", "pm2", "node_modules", "pm2", "bin", "pm2")
	if _, err := os.Stat(path); err != nil {
		missing(t, "PM2 is missing: run tools/setup-pm2.sh")
	}
	return path
}

// Need returns the path of a program that a test runs beside muster. It looks into PATH, /usr/sbin and /sbin, and takes a versioned name
// (php-fpm8.2) for a plain one. Without it the test is skipped, or failed in CI.
func Need(t testing.TB, program string) string {
	t.Helper()
	if path := lookup(program); path != "" {
		return path
	}
	missing(t, "%s is missing: run tools/setup-peers.sh", program)
	return ""
}

func lookup(program string) string {
	dirs := append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin")
	for _, pattern := range []string{program, program + "[0-9]*"} {
		for _, dir := range dirs {
			if path := firstExecutable(filepath.Join(dir, pattern)); path != "" {
				return path
			}
		}
	}
	return ""
}

func firstExecutable(pattern string) string {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return ""
	}
	for _, path := range paths {
		if isExecutable(path) {
			return path
		}
	}
	return ""
}

func isExecutable(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0
}
