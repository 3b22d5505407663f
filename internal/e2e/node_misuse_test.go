package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// Programs that misuse what they share with the master, and live on, are served by it as others are.
func TestNodeMisuse(t *testing.T) {
	t.Parallel()
	cases := []struct {
		handoff string
		misuse  string
	}{
		{"node", "messages"}, {"node", "deaf"}, {"node", "stdout"}, {"node", "title"}, {"node", "descendant"},
		{"message", "messages"}, {"message", "garbage"}, {"message", "disconnect"}, {"message", "stdout"}, {"message", "descendant"},
	}
	onNode(t, corners, func(t *testing.T, major int) {
		for _, tt := range cases {
			t.Run(tt.handoff+" "+tt.misuse, func(t *testing.T) {
				t.Parallel()
				r := runNoisy(t, major, tt.handoff, tt.misuse)
				r.WaitLines(0, 2, `misused`)
				r.serving(2)
				r.answers(100)
				r.replace(r.WaitLines(0, 2, `worker started .*pid=(\d+)`)[0][1])
				r.answers(100)
				r.bounded()
				r.stopClean()
			})
		}
	})
}

// A cluster worker whose channel is gone ends, as Node has it. The master tries again, in due time.
func TestNodeCutsItsChannel(t *testing.T) {
	t.Parallel()
	onNode(t, corners, func(t *testing.T, major int) {
		for misuse, news := range map[string]string{
			"garbage":    `warning: channel closed slot=\d worker=\d error=.*record`,
			"disconnect": `warning: worker exited .*exit="exit status 0"`,
		} {
			t.Run(misuse, func(t *testing.T) {
				t.Parallel()
				r := runNoisy(t, major, "node", misuse)
				r.WaitLine(news)
				r.WaitLines(0, 6, `warning: worker exited .*exit="exit status [01]".* retry_in=`)
				r.WaitLine(`slot is crash-looping`)
				r.bounded()
				r.stopClean()
			})
		}
	})
}

func runNoisy(t *testing.T, major int, handoff, misuse string) *nodeRun {
	t.Helper()
	port := testutil.Port(t)
	return runNodeOn(t, major, port, nil,
		"-i", "2", "-l", hostPort(port), "--handoff", handoff, "--stop-timeout", "4s", fixture("noisy.js"), misuse)
}

// replace kills a worker and waits for the next.
func (r *nodeRun) replace(pid string) {
	r.t.Helper()
	mark := r.Mark()
	var n int
	if _, err := fmt.Sscan(pid, &n); err != nil {
		r.t.Fatal(err)
	}
	if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	r.WaitLines(mark, 1, `serving workers=2`)
}

// masterLimit is more memory than a master ever had to need, in KiB.
const masterLimit = 96 << 10

// bounded wants that the master never took much memory.
func (r *nodeRun) bounded() {
	r.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.Pid()))
	if os.IsNotExist(err) {
		return // not Linux
	}
	_, text, ok := strings.Cut(string(status), "VmHWM:")
	var peak int
	if _, err := fmt.Sscan(text, &peak); !ok || err != nil {
		r.t.Fatalf("read the master's peak of memory: %v", err)
	}
	if peak > masterLimit {
		r.t.Errorf("the master took %d KiB", peak)
	}
}

// A program is the same however the user names it: what stands around it is looked through.
func TestNodeCommands(t *testing.T) {
	t.Parallel()
	commands := map[string][]string{
		"npm":   {"npm", "start"},
		"yarn":  {"yarn", "start"},
		"node":  {"node", "app.js"},
		"exec":  {"sh", "-c", "exec node app.js"},
		"shell": {"sh", "-c", "node app.js"},
	}
	onNode(t, corners, func(t *testing.T, major int) {
		for name, command := range commands {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := testutil.TempDir(t)
				copyFile(t, filepath.Join(dir, "app.js"), fixture("plain.cjs"))
				manifest := []byte(`{"name": "site", "scripts": {"start": "node app.js"}}`)
				if err := os.WriteFile(filepath.Join(dir, "package.json"), manifest, 0o644); err != nil {
					t.Fatal(err)
				}
				r := runNode(t, major, append([]string{"-i", "2", "--cwd", dir, "--"}, command...)...)
				r.serving(2)
				if got := r.answers(120); len(got) != 2 {
					t.Errorf("answered by %v", got)
				}
				r.stopClean()
			})
		}
	})
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Node removes types from 22.18 on; before, muster says so.
func TestNodeTypes(t *testing.T) {
	t.Parallel()
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		t.Parallel()
		r := runNode(t, major, "-i", "2", fixture("typed.ts"))
		if major < 22 {
			if state := r.WaitExit(); state.ExitCode() != 2 {
				t.Errorf("muster ended with %v", state)
			}
			r.WaitLine(`this version of node does not run TypeScript`)
			return
		}
		r.serving(2)
		r.allAnswer()
		r.stopClean()
	})
}

// A program without a server is no failure, unless a listener was declared for it.
func TestNodeBackground(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		args []string
		want string
	}{
		{"none", []string{"--handoff", "none", "--start-timeout", "1h"}, `serving workers=2`},
		{"ready by start", []string{"--ready", "start", "--start-timeout", "1h"}, `serving workers=2`},
		{"auto", []string{"--start-timeout", "2s"}, `warning: worker takes no socket: taken for a background program`},
		{"declared", []string{"--start-timeout", "2s", "-l", "127.0.0.1:0"}, `error: worker not ready in time`},
	}
	onNode(t, corners, func(t *testing.T, major int) {
		for _, tt := range cases {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				r := runNode(t, major, append(append([]string{"-i", "2"}, tt.args...), fixture("background.js"))...)
				r.WaitLine(tt.want)
				if tt.name != "declared" {
					r.serving(2)
					r.WaitLines(r.Mark(), 4, `tick`)
					if strings.Contains(r.Output(), "exited") {
						t.Error("a worker did not stay")
					}
				}
				r.stopClean()
			})
		}
	})
}
