package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// TestScalingLosesNothing: up and down again and again under load, by command and by signal, and no connection is refused or reset. Without
// privileges the kernel goes on giving connections to the slots that went; then the master gives them to others.
func TestScalingLosesNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range reloaders() {
		for _, plain := range []bool{false, true} {
			if plain && kind.name == "gunicorn" {
				continue // it has one queue for all
			}
			t.Run(fmt.Sprint(kind.name, map[bool]string{true: " without privileges"}[plain]), func(t *testing.T) {
				t.Parallel()
				startScaled(t, kind, plain).scales()
			})
		}
	}
}

// startScaled runs one worker of that kind.
func startScaled(t *testing.T, kind reloader, plain bool) *site {
	t.Helper()
	s := &site{t: t, home: testutil.TempDir(t), dir: testutil.TempDir(t), addr: hostPort(testutil.Port(t))}
	for name, text := range kind.files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{"run", "--name", "site", "-i", "1", "-l", s.addr, "--max-starting", "4"}, kind.command(t)...)
	c := testutil.Command{Args: args, Dir: s.dir, Env: []string{"MUSTER_HOME=" + s.home, "GORACE=atexit_sleep_ms=0"}}
	if plain && os.Geteuid() == 0 {
		c.Path = testutil.Need(t, "setpriv")
		c.Args = append([]string{"--bounding-set=-all", "--inh-caps=-all", testutil.Muster(t)}, c.Args...)
	}
	s.run = testutil.Start(t, c)
	s.run.WaitLine(`serving workers=1$`)
	return s
}

// scales changes the number of workers between one and four, and requires that nobody noticed.
func (s *site) scales() {
	s.t.Helper()
	const rounds = 3
	seen := s.crowd()
	for range rounds {
		for _, n := range []int{4, 2, 3, 1} {
			s.require(0, fmt.Sprintf("scaled site to %d worker", n), "scale", "site", strconv.Itoa(n))
		}
		mark := s.run.Mark()
		s.run.Signal(syscall.SIGTTIN)
		s.run.WaitLines(mark, 1, `serving workers=2$`)
		s.run.Signal(syscall.SIGTTIN)
		s.run.WaitLines(mark, 1, `serving workers=3$`)
		s.run.Signal(syscall.SIGTTOU)
		s.run.WaitLines(mark, 1, `worker exited.*reason=scale`)
		s.run.Signal(syscall.SIGTTOU)
		s.run.WaitLines(mark, 2, `worker exited.*reason=scale`)
	}
	s.requireOnlyLostIn(nil, seen()...)
	s.require(0, "stopped site", "stop")
	if code := s.run.WaitExit().ExitCode(); code != 0 {
		s.t.Errorf("muster ended with %d", code)
	}
}
