package e2e

import (
	"bytes"
	"errors"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// machine is a real systemd as the first process of namespaces of its own, with control groups of its own, in a root that borrows /usr:
//
//	test                                   machine
//	  │ start: new pid, mount, net … spaces  │ role "boot": mounts, then becomes systemd
//	  │                                      ├── agent.service: role "agent"
//	  │◄──── connects to /agent.sock ────────┤
//	  ├───── net/rpc: Run, Begin, Seen ─────►│ starts commands, puts load on addresses
//
// What is written outside of /run, /tmp and /usr lives through a reboot. Nothing is left at the end.
type machine struct {
	t       *testing.T
	root    string
	groups  *groups
	init    *exec.Cmd
	ended   chan struct{} // closed when init has been waited for
	console *bytes.Buffer
	agent   *rpc.Client
	boots   int
}

// bootTime bounds the start of a machine.
const bootTime = 30 * time.Second

// newMachine boots a machine, with muster and node in /usr/local/bin. It needs root.
func newMachine(t *testing.T) *machine {
	t.Helper()
	needRoot(t)
	testutil.Need(t, "systemctl")
	testutil.Need(t, "systemd-analyze")
	m := &machine{t: t, root: testutil.TempDir(t)}
	m.furnish()
	m.groups = newGroups(t, "muster-e2e-"+filepath.Base(m.root))
	t.Cleanup(m.close)
	m.boot()
	return m
}

// boot starts the machine and waits for its agent.
func (m *machine) boot() {
	m.t.Helper()
	m.boots++
	path := filepath.Join(m.root, "agent.sock")
	_ = os.Remove(path)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	m.console = &bytes.Buffer{}
	m.init = exec.Command(os.Args[0])
	m.init.Env = []string{roleVariable + "=boot", "E2E_ROOT=" + m.root, "E2E_PROGRAM=" + os.Args[0], "E2E_NODE=" + testutil.AnyNode(m.t), m.groups.env()}
	m.init.Stdout, m.init.Stderr = m.console, m.console
	m.init.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	if err := m.init.Start(); err != nil {
		m.t.Fatalf("start the machine: %v", err)
	}
	m.ended = make(chan struct{})
	go func() { // ends with the machine
		_ = m.init.Wait()
		close(m.ended)
		_ = listener.Close()
	}()
	if err := listener.SetDeadline(time.Now().Add(bootTime)); err != nil {
		m.t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		m.t.Fatalf("the machine does not come up: %v", err)
	}
	m.agent = rpc.NewClient(conn)
}

// reboot stops everything in order, and boots again.
func (m *machine) reboot() {
	m.t.Helper()
	m.halt()
	m.boot()
}

// halt ends the machine as an administrator does: systemd stops all units, and its exit code is the one that was asked for.
func (m *machine) halt() {
	m.t.Helper()
	const code = 7
	var got Ran
	err := m.agent.Call("Agent.Run", Command{Argv: []string{"systemctl", "exit", "7"}}, &got)
	if err == nil && got.Code > 0 { // it, or the connection, may end with the machine
		m.t.Fatalf("systemctl exit: %+v", got)
	}
	select {
	case <-m.ended:
	case <-time.After(bootTime):
		m.t.Fatal("the machine does not end")
	}
	if got := m.init.ProcessState.ExitCode(); got != code {
		m.t.Errorf("the machine ended with %d, want %d", got, code)
	}
	_ = m.agent.Close()
}

// close ends what runs: the kernel kills all processes of the machine with its first.
func (m *machine) close() {
	if m.t.Failed() && m.agent != nil {
		m.dump()
	}
	if m.init != nil {
		_ = m.init.Process.Kill()
		<-m.ended
	}
	if m.agent != nil {
		_ = m.agent.Close()
	}
	m.groups.remove()
}

func (m *machine) dump() {
	for _, argv := range [][]string{{"systemctl", "--no-pager", "--failed"}, {"journalctl", "--no-pager", "-o", "short-precise", "-n", "400"}} {
		var got Ran
		if err := m.agent.Call("Agent.Run", Command{Argv: argv}, &got); err == nil {
			m.t.Logf("%s:\n%s%s", strings.Join(argv, " "), got.Stdout, got.Stderr)
		}
	}
	m.t.Logf("console:\n%s", m.console)
}

// try runs a command in the machine as its root.
func (m *machine) try(argv ...string) Ran {
	m.t.Helper()
	return m.run(Command{Argv: argv})
}

func (m *machine) run(c Command) Ran {
	m.t.Helper()
	var got Ran
	call := m.agent.Go("Agent.Run", c, &got, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
	case <-time.After(testutil.Patience):
		call.Error = errors.New("no answer")
	}
	if call.Error != nil {
		m.t.Fatalf("%s: %v", strings.Join(c.Argv, " "), call.Error)
	}
	return got
}

// do runs a command in the machine, which must succeed, and returns what it wrote to stdout.
func (m *machine) do(argv ...string) string {
	m.t.Helper()
	got := m.try(argv...)
	if got.Code != 0 {
		m.t.Fatalf("%s: exit code %d\n%s%s", strings.Join(argv, " "), got.Code, got.Stdout, got.Stderr)
	}
	return strings.TrimSpace(got.Stdout)
}

// property is what systemctl shows of a unit.
func (m *machine) property(unit, name string) string {
	m.t.Helper()
	return m.do("systemctl", "show", "--value", "-p", name, unit)
}

// requireProperty waits until a property of a unit has a value.
func (m *machine) requireProperty(unit, name, want string) {
	m.t.Helper()
	got := ""
	poll(m.t, unit+": "+name+"="+want, func() bool {
		got = m.property(unit, name)
		return got == want
	})
}

// write puts a file into the machine.
func (m *machine) write(path, text string) {
	m.t.Helper()
	m.writeMode(path, text, 0o644)
}

func (m *machine) writeMode(path, text string, mode os.FileMode) {
	m.t.Helper()
	file := filepath.Join(m.root, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
}

// crowd puts load on an address in the machine until seen is called.
func (m *machine) crowd(addr string) (seen func() Sight) {
	m.t.Helper()
	var number int
	options := load.Options{Addr: addr, Clients: 4, Duration: time.Hour, NewConnPerRequest: true, ThinkTime: time.Millisecond}
	if err := m.agent.Call("Agent.Begin", options, &number); err != nil {
		m.t.Fatal(err)
	}
	return func() Sight {
		m.t.Helper()
		var got Sight
		if err := m.agent.Call("Agent.Seen", number, &got); err != nil {
			m.t.Fatal(err)
		}
		return got
	}
}

// ask puts so many requests to an address in the machine.
func (m *machine) ask(addr string, count int) Sight {
	m.t.Helper()
	var got Sight
	if err := m.agent.Call("Agent.Load", load.Options{Addr: addr, Count: count, NewConnPerRequest: true}, &got); err != nil {
		m.t.Fatal(err)
	}
	return got
}

// requireUnharmed requires that the load saw nothing but answers.
func requireUnharmed(t *testing.T, what string, got Sight) {
	t.Helper()
	t.Logf("%s: %d requests answered, %d failed", what, got.OK, got.Failed)
	if got.OK == 0 || got.Failed > 0 {
		t.Errorf("%s: %s", what, got.Text)
	}
}
