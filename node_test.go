package muster_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// eachNode runs f under every version of Node, one after the other within a test.
func eachNode(t *testing.T, f func(t *testing.T, node string)) {
	t.Helper()
	t.Parallel()
	for _, major := range testutil.NodeVersions() {
		t.Run(fmt.Sprint(major), func(t *testing.T) { f(t, testutil.Node(t, major)) })
	}
}

// nodeMaster is a master in JavaScript from testdata/sdk.
type nodeMaster struct {
	*proc
	commands io.Writer
}

func startNode(t *testing.T, node, script, mode, addr string) nodeMaster {
	t.Helper()
	cmd := exec.Command(node, filepath.Join("testdata", "sdk", script), self(t), mode)
	cmd.Env = append(os.Environ(), roleVariable+"=http", "ADDR="+addr)
	p := start(t, cmd)
	return nodeMaster{p, p.stdin.(io.Writer)}
}

func (m nodeMaster) command(name string) {
	m.t.Helper()
	if _, err := io.WriteString(m.commands, name+"\n"); err != nil {
		m.t.Fatal(err)
	}
}

func (m nodeMaster) address(pattern string) string {
	m.t.Helper()
	return "127.0.0.1:" + m.line(pattern)[1]
}

// request asks from several clients and requires answers; it returns how many workers gave them.
func request(t *testing.T, addr string, fresh bool) int {
	t.Helper()
	r, err := load.Run(testutil.Context(t), load.Options{Addr: addr, Clients: 8, Count: 200, NewConnPerRequest: fresh, NoRetry: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed() > 0 {
		t.Fatalf("%d of %d requests failed: %+v", r.Failed(), r.Requests, r.Failures)
	}
	return len(r.ByPID)
}

func TestNodeFork(t *testing.T) {
	eachNode(t, func(t *testing.T, node string) { testNodeFork(t, node, "fork") })
}

func TestNodeSpawnAtOtherDescriptor(t *testing.T) {
	eachNode(t, func(t *testing.T, node string) { testNodeFork(t, node, "spawn") })
}

func testNodeFork(t *testing.T, node, mode string) {
	m := startNode(t, node, "fork.js", mode, "")
	addr := m.address(`^master port (\d+)`)
	request(t, addr, true)
	if r := get(t, addr, "/panic"); r.head.StatusCode != 500 {
		t.Errorf("panic answered by %v", r.head)
	}
	m.line(`^master message {"act":"suicide"}$`)
	m.line(`^master exit 1 `)
	request(t, addr, false) // the other one serves on
	m.command("disconnect")
	m.line(`^returned <nil>$`)
	m.line(`^master exit 0 `)
}

func TestNodeMasterDies(t *testing.T) {
	eachNode(t, func(t *testing.T, node string) {
		m := startNode(t, node, "fork.js", "fork", "")
		addr := m.address(`^master port (\d+)`)
		request(t, addr, true)
		m.command("die")
		m.line(`^returned <nil>$`)
		m.line(`^returned <nil>$`)
	})
}

func TestNodeSockets(t *testing.T) {
	eachNode(t, func(t *testing.T, node string) {
		m := startNode(t, node, "sockets.js", "", "")
		addr := m.address(`^master port (\d+)`)
		c := dial(t, addr)
		c.send(getRequest)
		c.answered(200)
		m.command("count")
		m.line("^master count 1$")
		m.command("close")
		c.send(getRequest)
		c.answered(200)
		c.Close()
		m.line("^master closed")
		m.command("disconnect")
		m.line("^master exit 0 ")
	})
}

func TestNodeClusterRoundRobin(t *testing.T) {
	eachNode(t, func(t *testing.T, node string) {
		if n := testNodeCluster(t, node, "rr"); n != 2 {
			t.Errorf("%d workers served", n)
		}
	})
}

func TestNodeClusterShared(t *testing.T) {
	eachNode(t, func(t *testing.T, node string) { testNodeCluster(t, node, "none") })
}

func testNodeCluster(t *testing.T, node, policy string) (served int) {
	m := startNode(t, node, "cluster.js", policy, "127.0.0.1:0")
	addr := m.address(`^master listening \d 127\.0\.0\.1 (\d+)`)
	m.line(`^master listening \d 127\.0\.0\.1 (\d+)`)
	served = request(t, addr, true)
	request(t, addr, false)
	if r := get(t, addr, "/panic"); r.head.StatusCode != 500 {
		t.Errorf("panic answered by %v", r.head)
	}
	m.line(`^master message {"act":"suicide"}$`)
	m.line(`^master exit 1 `)
	request(t, addr, true)
	m.command("disconnect")
	m.line(`^returned <nil>$`)
	m.line(`^master all gone$`)
	return served
}

func TestNodeClusterAddressInUse(t *testing.T) {
	eachNode(t, func(t *testing.T, node string) {
		_, taken := listenTCP(t)
		for _, policy := range []string{"rr", "none"} {
			m := startNode(t, node, "cluster.js", policy, taken)
			m.line(`^returned listen on tcp ` + taken + `: .*address already in use$`)
			m.line(`^master exit 1 `)
		}
	})
}

func TestNodePrimaryDies(t *testing.T) {
	eachNode(t, func(t *testing.T, node string) {
		m := startNode(t, node, "cluster.js", "rr", "127.0.0.1:0")
		addr := m.address(`^master listening \d 127\.0\.0\.1 (\d+)`)
		request(t, addr, true)
		m.command("die")
		m.line(`^returned <nil>$`)
		m.line(`^returned <nil>$`)
	})
}
