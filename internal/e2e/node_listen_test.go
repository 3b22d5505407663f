package e2e

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// listens waits until server n of listen.js listens in so many workers, and returns the ports it has in them.
func (r *nodeRun) listens(n, workers int) []int {
	r.t.Helper()
	var ports []int
	for _, m := range r.WaitLines(0, workers, fmt.Sprintf(`server %d listens .*"port":(\d+)`, n)) {
		port, err := strconv.Atoi(m[1])
		if err != nil {
			r.t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

// fails waits until the listen of server n of listen.js fails with this code in so many workers.
func (r *nodeRun) fails(n int, code string, workers int) {
	r.t.Helper()
	r.WaitLines(0, workers, fmt.Sprintf(`server %d error %s$`, n, code))
}

// at is the same run, asked at another port.
func (r *nodeRun) at(port int) *nodeRun {
	other := *r
	other.port, other.addr = port, hostPort(port)
	return &other
}

func onPort(port int, more ...string) string {
	return fmt.Sprintf(`{"host":"127.0.0.1","port":%d%s}`, port, strings.Join(append([]string{""}, more...), ","))
}

func TestNodeTwoServers(t *testing.T) {
	t.Parallel()
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		t.Parallel()
		first, second := testutil.Port(t), testutil.Port(t)
		r := runNode(t, major, "-i", "2", fixture("listen.js"), onPort(first), onPort(second))
		r.listens(0, 2)
		r.listens(1, 2)
		r.at(first).allAnswer()
		r.at(second).allAnswer()
		r.stopClean()
	})
}

// All workers have the same port, whichever it is; every listen(0) of one worker has its own.
func TestNodeAnyPort(t *testing.T) {
	t.Parallel()
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		t.Parallel()
		r := runNode(t, major, "-i", "3", fixture("listen.js"), onPort(0), "0")
		first, second := r.listens(0, 3), r.listens(1, 3)
		for _, ports := range [][]int{first, second} {
			if len(slices.Compact(ports)) != 1 {
				t.Errorf("one server has the ports %v", ports)
			}
		}
		if first[0] == second[0] {
			t.Errorf("both servers have port %d", first[0])
		}
		r.at(first[0]).allAnswer()
		r.at(second[0]).allAnswer()
		r.stopClean()
	})
}

// runListen runs listen.js in dir.
func runListen(t *testing.T, major int, dir string, args ...string) *nodeRun {
	t.Helper()
	args = append([]string{"run", "--name", "x", "-i", "2", fixture("listen.js")}, args...)
	r := testutil.Start(t, testutil.Command{Args: args, Env: nodeEnv(t, major), Dir: dir})
	return &nodeRun{Running: r, t: t}
}

func TestNodePath(t *testing.T) {
	t.Parallel()
	usual := usualPerms(t)
	cases := []struct {
		name  string
		more  string
		abs   bool
		perms fs.FileMode
	}{
		{"relative", ``, false, usual},
		{"absolute", ``, true, usual},
		{"for all to read", `,"readableAll":true`, true, 0o744},
		{"for all to write", `,"writableAll":true`, true, 0o722},
		{"for all", `,"readableAll":true,"writableAll":true`, false, 0o766},
	}
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		for _, tt := range cases {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				dir := testutil.TempDir(t)
				path, file := "s", filepath.Join(dir, "s")
				if tt.abs {
					path = file
				}
				testPath(t, runListen(t, major, dir, fmt.Sprintf(`{"path":%q%s}`, path, tt.more)), file, tt.perms)
			})
		}
	})
}

// usualPerms are the permissions of a socket that nobody decides about but the umask.
func usualPerms(t *testing.T) fs.FileMode {
	t.Helper()
	file := filepath.Join(testutil.TempDir(t), "s")
	l, err := net.Listen("unix", file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	info, err := os.Lstat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// testPath wants a socket with these permissions at a path, answers from it, and that nothing is left of it.
func testPath(t *testing.T, r *nodeRun, file string, perms fs.FileMode) {
	t.Helper()
	r.WaitLines(0, 2, `server 0 listens`)
	if info, err := os.Lstat(file); err != nil || info.Mode() != fs.ModeSocket|perms {
		t.Errorf("mode %v (%v), want %v", info.Mode(), err, perms)
	}
	if got := mustLoad(t, load.Options{URL: "unix:" + file, Clients: 4, Count: 40, NewConnPerRequest: true}); got.OK != 40 {
		t.Error(got)
	}
	r.stopClean()
	if _, err := os.Lstat(file); !os.IsNotExist(err) {
		t.Errorf("the path is still there: %v", err)
	}
}

func TestNodeStalePath(t *testing.T) {
	t.Parallel()
	onNode(t, corners, func(t *testing.T, major int) {
		t.Parallel()
		dir := testutil.TempDir(t)
		file := filepath.Join(dir, "s")
		dead := runListen(t, major, dir, `{"path":"s"}`)
		dead.WaitLines(0, 2, `server 0 listens`)
		dead.Signal(syscall.SIGKILL)
		dead.WaitExit()
		if _, err := os.Lstat(file); err != nil {
			t.Fatalf("nothing stale to begin with: %v", err)
		}
		testPath(t, runListen(t, major, dir, `{"path":"s"}`), file, usualPerms(t))
	})
}

func TestNodeUDP(t *testing.T) {
	t.Parallel()
	onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
		t.Parallel()
		r := runNode(t, major, "-i", "2", fixture("udp.js"))
		r.serving(2)
		for i := range 20 {
			message := fmt.Sprintf("message %d", i)
			if got := echo(t, r.addr, message); !strings.HasPrefix(got, message+" pid: ") {
				t.Errorf("%q was answered by %q", message, got)
			}
		}
		r.stopClean()
	})
}

// echo sends a datagram and returns the answer.
func echo(t *testing.T, addr, message string) string {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(testutil.Deadline(t))
	if _, err := conn.Write([]byte(message)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1000)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// A worker that binds by itself is left alone; only one can have the address, as without muster.
func TestNodeExclusive(t *testing.T) {
	t.Parallel()
	onNode(t, corners, func(t *testing.T, major int) {
		t.Parallel()
		port := testutil.Port(t)
		one := runNode(t, major, "-i", "1", fixture("listen.js"), onPort(port, `"exclusive":true`))
		one.serving(1)
		one.at(port).allAnswer()
		one.stopClean()

		two := runNode(t, major, "-i", "2", fixture("listen.js"), onPort(port, `"exclusive":true`))
		two.listens(0, 1)
		two.fails(0, "EADDRINUSE", 1)
		if got := two.at(port).answers(20); len(got) != 1 {
			t.Errorf("answered by %v", got)
		}
		two.stopClean()
	})
}

// From Node 22 on reusePort makes workers bind by themselves; before, they do not know the option.
func TestNodeReusePort(t *testing.T) {
	t.Parallel()
	onNode(t, []int{20, 22, 26}, func(t *testing.T, major int) {
		t.Parallel()
		port := testutil.Port(t)
		r := runNode(t, major, "-i", "2", fixture("listen.js"), onPort(port, `"reusePort":true`))
		r.listens(0, 2)
		r.serving(2)
		r.at(port).allAnswer()
		r.stopClean()
	})
}

// listen({fd}) counts the declared listeners from 3, as systemd does.
func TestNodeDescriptor(t *testing.T) {
	t.Parallel()
	onNode(t, corners, func(t *testing.T, major int) {
		t.Parallel()
		first, second := testutil.Port(t), testutil.Port(t)
		r := runNode(t, major, "-i", "2", "-l", hostPort(first), "-l", hostPort(second), fixture("listen.js"),
			`{"fd":4}`, `{"fd":99}`, `{"fd":3}`)
		r.fails(1, "(EBADF|EINVAL)", 2)
		if got := r.listens(0, 2); got[0] != second || got[1] != second {
			t.Errorf("descriptor 4 has the ports %v, want %d", got, second)
		}
		r.listens(2, 2)
		r.at(first).allAnswer()
		r.at(second).allAnswer()
		r.stopClean()
	})
}

func TestNodeListensAgain(t *testing.T) {
	t.Parallel()
	onNode(t, corners, func(t *testing.T, major int) {
		t.Parallel()
		r := runNode(t, major, "-i", "2", fixture("again.js"))
		r.WaitLines(0, 2, `listens again`)
		r.allAnswer()
		r.stopClean()
	})
}

// What fails without a master fails with one, in the same way, and is the program's to handle.
func TestNodeListenFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	onNode(t, corners, func(t *testing.T, major int) {
		t.Parallel()
		port := testutil.Port(t)
		r := runNode(t, major, "-i", "2", fixture("listen.js"),
			onPort(port), onPort(port), onPort(taken.Addr().(*net.TCPAddr).Port), `{"port":0,"host":"192.0.2.1"}`, `{"path":"/none/such"}`)
		r.fails(1, "EADDRINUSE", 2)
		r.fails(2, "EADDRINUSE", 2)
		r.fails(3, "EADDRNOTAVAIL", 2)
		r.fails(4, "(ENOENT|EACCES)", 2)
		r.listens(0, 2)
		r.serving(2)
		r.at(port).allAnswer()
		r.stopClean()
	})
}

func TestNodePrivilegedPort(t *testing.T) {
	t.Parallel()
	if start, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err != nil || strings.TrimSpace(string(start)) == "0" {
		t.Skip("everybody may bind every port")
	}
	onNode(t, corners, func(t *testing.T, major int) {
		t.Parallel()
		port := testutil.Port(t)
		r := runPlain(t, major, "-i", "1", fixture("listen.js"), onPort(80), onPort(port))
		r.fails(0, "EACCES", 1)
		r.listens(1, 1)
		r.at(port).allAnswer()
		r.stopClean()
	})
}
