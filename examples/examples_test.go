// Package examples is empty: its tests run every example under muster.
package examples

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// runExample starts `muster run` with two workers and these arguments, in the folder of the examples.
func runExample(t *testing.T, env []string, args ...string) *testutil.Running {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"run", "--name", strings.ReplaceAll(t.Name(), "/", "-"), "-i", "2"}, args...)
	return testutil.Start(t, testutil.Command{Args: args, Env: env, Dir: dir})
}

// address waits for the line that tells where the example listens.
func address(r *testutil.Running) string {
	return r.WaitLine(`(?:master started|listening).*\b(127\.0\.0\.1:\d+)`)[1]
}

// requireAnswers asks the example forty times and stops it.
func requireAnswers(t *testing.T, r *testutil.Running, addr string) {
	t.Helper()
	got, err := load.Run(testutil.Context(t), load.Options{Addr: addr, Clients: 4, Count: 40, NewConnPerRequest: true})
	if err != nil {
		t.Fatal(err)
	}
	if got.OK != 40 || len(got.ByPID) == 0 {
		t.Error(got)
	}
	if state := r.Stop(); state.ExitCode() != 0 {
		t.Errorf("muster ended with %v", state)
	}
}

// withNode is the environment in which node is of the version given.
func withNode(t *testing.T, major int) []string {
	t.Helper()
	return []string{"PATH=" + filepath.Dir(testutil.Node(t, major)) + ":/usr/bin:/bin"}
}

func TestNode(t *testing.T) {
	t.Parallel()
	for _, major := range testutil.NodeVersions() {
		for _, program := range []string{"node/server.mjs", "node/server.cjs"} {
			t.Run(fmt.Sprint(major, " ", program), func(t *testing.T) {
				t.Parallel()
				addr := fmt.Sprintf("127.0.0.1:%d", testutil.Port(t))
				r := runExample(t, append(withNode(t, major), "PORT="+addr[len("127.0.0.1:"):]), program)
				r.WaitLine(`serving workers=2`)
				requireAnswers(t, r, addr)
			})
		}
		t.Run(fmt.Sprint(major, " by message"), func(t *testing.T) {
			t.Parallel()
			r := runExample(t, withNode(t, major), "-l", "127.0.0.1:0", "--handoff", "message", "node/worker.js")
			requireAnswers(t, r, address(r))
		})
	}
}

func TestPython(t *testing.T) {
	t.Parallel()
	for program, args := range map[string][]string{
		"gunicorn": {"--chdir", "python", "wsgi:app"},
		"uvicorn":  {"--fd", "3", "--app-dir", "python", "asgi:app"},
	} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			command := append([]string{"-l", "127.0.0.1:0", "--", testutil.Need(t, program)}, args...)
			r := runExample(t, []string{"PYTHONDONTWRITEBYTECODE=1"}, command...)
			requireAnswers(t, r, address(r))
		})
	}
}

func TestRuby(t *testing.T) {
	t.Parallel()
	addr := fmt.Sprintf("tcp://127.0.0.1:%d", testutil.Port(t))
	r := runExample(t, nil, "-l", addr, "--", testutil.Need(t, "puma"), "-b", addr, "ruby/config.ru")
	requireAnswers(t, r, address(r))
}

func TestPHP(t *testing.T) {
	t.Parallel()
	program := testutil.Need(t, "php-fpm")
	r := runExample(t, nil, "-l", "127.0.0.1:0", "--env", "FPM_SOCKETS=127.0.0.1:9000=3", "--", program, "-F", "-y", "php/php-fpm.conf")
	script, err := filepath.Abs("php/index.php")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := askFastCGI(testutil.Context(t), address(r), script)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(answer, "\r\n\r\nhello from pid: ") {
		t.Errorf("answer %q", answer)
	}
	r.Stop()
}

func TestShell(t *testing.T) {
	t.Parallel()
	r := runExample(t, nil, "sh/ticker.sh")
	r.WaitLines(0, 2, `tick 1 of pid: \d+`)
	if state := r.Stop(); state.ExitCode() != 0 {
		t.Errorf("muster ended with %v", state)
	}
	r.WaitLines(0, 2, `bye from pid: \d+`)
}
