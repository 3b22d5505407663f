package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// fixture is the path of a program in testdata/node.
func fixture(name string) string { return filepath.Join(testutil.Root(), "testdata", "node", name) }

// onNode runs a test on each of the versions.
func onNode(t *testing.T, versions []int, test func(t *testing.T, major int)) {
	for _, major := range versions {
		t.Run(fmt.Sprint("node ", major), func(t *testing.T) { test(t, major) })
	}
}

// corners are the versions between which the others behave alike.
var corners = []int{20, 26}

// nodeRun is muster with a program of Node.
type nodeRun struct {
	*testutil.Running
	t    *testing.T
	port int    // which the program is told to listen on, by PORT or by -l
	addr string // 127.0.0.1 and the port
}

// runNode starts `muster run` with these arguments in a folder of its own. $PORT is a free port.
func runNode(t *testing.T, major int, args ...string) *nodeRun {
	t.Helper()
	return runNodeOn(t, major, testutil.Port(t), nil, args...)
}

// runNodeOn is runNode with a port, 0 for none, and more variables.
func runNodeOn(t *testing.T, major, port int, env []string, args ...string) *nodeRun {
	t.Helper()
	return startNode(t, major, port, testutil.Command{Args: append([]string{"run", "--name", "x"}, args...), Env: env})
}

// runPlain is runNode without privileges, as most are: the kernel steers no connections. The test is skipped where they cannot be dropped.
func runPlain(t *testing.T, major int, args ...string) *nodeRun {
	t.Helper()
	args = append([]string{testutil.Muster(t), "run", "--name", "x"}, args...)
	if os.Geteuid() == 0 {
		args = append([]string{testutil.Need(t, "setpriv"), "--bounding-set=-all", "--inh-caps=-all"}, args...)
	}
	return startNode(t, major, testutil.Port(t), testutil.Command{Path: args[0], Args: args[1:]})
}

func startNode(t *testing.T, major, port int, c testutil.Command) *nodeRun {
	t.Helper()
	c.Env = append(nodeEnv(t, major), c.Env...)
	if port != 0 {
		c.Env = append(c.Env, "PORT="+strconv.Itoa(port))
	}
	c.Dir = testutil.TempDir(t)
	return &nodeRun{Running: testutil.Start(t, c), t: t, port: port, addr: hostPort(port)}
}

// nodeEnv is an environment in which node is of that version.
func nodeEnv(t *testing.T, major int) []string {
	t.Helper()
	return []string{"PATH=" + filepath.Dir(testutil.Node(t, major)) + ":" + os.Getenv("PATH")}
}

// serving waits until n workers serve.
func (r *nodeRun) serving(n int) {
	r.t.Helper()
	r.WaitLine(fmt.Sprintf(`muster: +serving workers=%d$`, n))
}

// load asks the program.
func (r *nodeRun) load(o load.Options) *load.Result {
	r.t.Helper()
	if o.Addr == "" {
		o.Addr = r.addr
	}
	return mustLoad(r.t, o)
}

func mustLoad(t *testing.T, o load.Options) *load.Result {
	t.Helper()
	got, err := load.Run(t.Context(), o) // each request has a time limit
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// answers asks so often on connections of their own, wants every answer, and returns who gave them.
func (r *nodeRun) answers(count int) []int {
	r.t.Helper()
	got := r.load(load.Options{Clients: min(count, 8), Count: count, NewConnPerRequest: true})
	if got.OK != count {
		r.t.Errorf("%s\n%s", got, r.Output())
	}
	return got.PIDs()
}

// allAnswer asks so often that every worker has its turn, and wants that each had.
func (r *nodeRun) allAnswer() {
	r.t.Helper()
	workers := r.Workers()
	if got := r.answers(60 * len(workers)); !slices.Equal(got, workers) {
		r.t.Errorf("workers %v, but %v answered", workers, got)
	}
}

// stopClean stops muster, which must end well.
func (r *nodeRun) stopClean() {
	r.t.Helper()
	if state := r.Stop(); state.ExitCode() != 0 {
		r.t.Errorf("muster ended with %v", state)
	}
}

func hostPort(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
