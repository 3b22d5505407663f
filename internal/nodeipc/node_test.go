package nodeipc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/testutil"
)

// node is a Node process at the other end of a channel.
type node struct {
	*Conn
	t      *testing.T
	cmd    *exec.Cmd
	exit   chan error // what Wait returned
	output *output
}

// output collects what the process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// everyNode runs the test once for each version of Node.
func everyNode(t *testing.T, test func(t *testing.T, path string, major int)) {
	t.Parallel()
	for _, major := range testutil.NodeVersions() {
		t.Run(fmt.Sprint("node", major), func(t *testing.T) {
			t.Parallel()
			test(t, testutil.Node(t, major), major)
		})
	}
}

// worker starts script as a cluster worker.
func worker(t *testing.T, path, script string, env ...string) *node {
	t.Helper()
	n := startNode(t, []string{path}, script, append(env, "NODE_UNIQUE_ID=1")...)
	expectEvent(t, n.Conn, Online{})
	return n
}

// forked starts script as a process that is forked with a channel and knows nothing of a cluster.
func forked(t *testing.T, path, script string, env ...string) *node {
	t.Helper()
	return startNode(t, []string{path}, script, env...)
}

func startNode(t *testing.T, command []string, script string, env ...string) *node {
	t.Helper()
	file := filepath.Join(testutil.TempDir(t), "app.js")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	c, far, err := Pair(Options{})
	if err != nil {
		t.Fatal(err)
	}
	end := os.NewFile(uintptr(far), "worker")
	defer end.Close()
	n := &node{Conn: c, t: t, exit: make(chan error, 1), output: &output{}}
	n.cmd = exec.Command(command[0], append(command[1:], file)...)
	n.cmd.Env = append(os.Environ(), append(env, "NODE_CHANNEL_FD=3", "NODE_CHANNEL_SERIALIZATION_MODE=json")...)
	n.cmd.ExtraFiles = []*os.File{end}
	n.cmd.Stdout, n.cmd.Stderr = n.output, n.output
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := n.cmd.Start(); err != nil {
		c.Close()
		t.Fatal(err)
	}
	n.watch()
	return n
}

// watch waits for the process, and ends it with the test or when time is up, so that no Receive waits for ever.
func (n *node) watch() {
	kill := func() { _ = unix.Kill(-n.cmd.Process.Pid, unix.SIGKILL) }
	stop := context.AfterFunc(testutil.Context(n.t), kill)
	var wg sync.WaitGroup
	wg.Go(func() { n.exit <- n.cmd.Wait() })
	n.t.Cleanup(func() {
		stop()
		kill()
		wg.Wait()
		n.Close()
		if n.t.Failed() {
			n.t.Logf("output:\n%s", n.output)
		}
	})
}

// next skips events until there is a T. It ends the test at the end of the channel.
func next[T Event](n *node) T {
	n.t.Helper()
	for {
		ev, err := n.Receive()
		if err != nil {
			var want T
			n.t.Fatalf("waiting for %T: %v\n%s", want, err, n.output)
		}
		if got, ok := ev.(T); ok {
			return got
		}
	}
}

// text returns the next message, which must be a string.
func (n *node) text() string {
	n.t.Helper()
	m := next[Message](n)
	s, ok := m.Text()
	if !ok {
		n.t.Fatalf("message %s", m.Raw)
	}
	return s
}

// answer answers the next query with fd and waits until the worker listens.
func (n *node) answer(fd int) (Query, Listening) {
	n.t.Helper()
	q := next[Query](n)
	n.give(q, fd)
	return q, next[Listening](n)
}

func (n *node) give(q Query, fd int) {
	n.t.Helper()
	if err := n.AnswerHandle(q, q.Key(), nil, fd); err != nil {
		n.t.Fatal(err)
	}
}

// ends waits for the end of the channel and of the process.
func (n *node) ends(code int) {
	n.t.Helper()
	n.hangsUp()
	n.exits(code)
}

// hangsUp waits for the end of the channel.
func (n *node) hangsUp() {
	n.t.Helper()
	for {
		ev, err := n.Receive()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			n.t.Fatalf("%v, %v\n%s", ev, err, n.output)
		}
	}
}

func (n *node) exits(code int) {
	n.t.Helper()
	err := <-n.exit
	n.exit <- err
	if got := n.cmd.ProcessState.ExitCode(); got != code {
		n.t.Fatalf("exit code %d, want %d\n%s", got, code, n.output)
	}
}

func (n *node) disconnect() {
	n.t.Helper()
	if err := n.Disconnect(); err != nil {
		n.t.Fatal(err)
	}
	n.ends(0)
}

// get makes a request over a new connection and returns the answer's body.
func get(t *testing.T, network, addr string) string {
	t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(testutil.Context(t), http.MethodGet, "http://localhost/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func expectBody(t *testing.T, network, addr, want string) {
	t.Helper()
	if got := get(t, network, addr); got != want {
		t.Fatalf("%s answered %q, want %q", addr, got, want)
	}
}

// server listens on PORT and answers every request.
const server = `
const http = require('http');
http.createServer((req, res) => res.end('hello')).listen(Number(process.env.PORT));
`

func portEnv(port int) string { return fmt.Sprintf("PORT=%d", port) }

func TestNodeListens(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		for name, listen := range map[string]bool{"listening": true, "bound": false} {
			t.Run(name, func(t *testing.T) {
				fd, port := tcpSocket(t, listen)
				n := worker(t, path, server, portEnv(port))
				q, l := n.answer(fd)
				if q.Type != TCP4 || q.HasAddress || q.Port != port || l.Listener != q.Key() || l.Port != port {
					t.Errorf("query %+v, listening %+v", q, l)
				}
				for range 10 {
					expectBody(t, "tcp", local(port), "hello")
				}
				if err := n.Disconnect(); err != nil {
					t.Fatal(err)
				}
				if c := next[Closed](n); c.Key != q.Key() {
					t.Errorf("closed %q", c.Key)
				}
				n.ends(0)
			})
		}
	})
}

func TestNodeTwoServers(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		fd1, port1 := listenerFD(t)
		fd2, port2 := listenerFD(t)
		n := worker(t, path, `
const http = require('http');
http.createServer((req, res) => res.end('one')).listen(Number(process.env.ONE));
http.createServer((req, res) => res.end('two')).listen(Number(process.env.TWO), '127.0.0.1');
`, fmt.Sprintf("ONE=%d", port1), fmt.Sprintf("TWO=%d", port2))
		q1, q2 := next[Query](n), next[Query](n)
		n.give(q2, fd2)
		n.give(q1, fd1)
		l1, l2 := next[Listening](n), next[Listening](n)
		if l1.Listener != q2.Key() || l2.Listener != q1.Key() || !q2.HasAddress || q2.Address != "127.0.0.1" {
			t.Errorf("listening %+v, %+v", l1, l2)
		}
		expectBody(t, "tcp", local(port1), "one")
		expectBody(t, "tcp", local(port2), "two")
		n.disconnect()
	})
}

func TestNodePortZero(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		n := worker(t, path, `
const http = require('http');
for (const name of ['zero', 'one']) {
  const s = http.createServer((req, res) => res.end(name));
  s.listen(0, () => process.send({name, port: s.address().port}));
}
`)
		q0, q1 := next[Query](n), next[Query](n)
		if q0.Tuple() == q1.Tuple() || q0.Index != 0 || q1.Index != 1 || q1.Port != 0 {
			t.Errorf("queries %+v, %+v", q0, q1)
		}
		fd0, port0 := listenerFD(t)
		fd1, port1 := listenerFD(t)
		n.give(q0, fd0)
		n.give(q1, fd1)
		l0, l1 := next[Listening](n), next[Listening](n)
		if l0.Port != port0 || l0.Listener != q0.Key() || l1.Port != port1 || l1.Listener != q1.Key() {
			t.Errorf("listening %+v, %+v", l0, l1)
		}
		expectBody(t, "tcp", local(port0), "zero")
		expectBody(t, "tcp", local(port1), "one")
		n.disconnect()
	})
}

func TestNodePath(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		sock := filepath.Join(testutil.TempDir(t), "s")
		fd := unixSocket(t, sock)
		n := worker(t, path, `
const http = require('http');
http.createServer((req, res) => res.end('hello')).listen({path: process.env.SOCK, readableAll: true});
`, "SOCK="+sock)
		q, l := n.answer(fd)
		if q.Type != Path || q.Address != sock || !q.ReadableAll || q.WritableAll || l.Listener != q.Key() {
			t.Errorf("query %+v, listening %+v", q, l)
		}
		expectBody(t, "unix", sock, "hello")
		n.disconnect()
	})
}

func TestNodeUDP(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		fd, port := udpSocket(t)
		n := worker(t, path, `
const s = require('dgram').createSocket('udp4');
s.on('message', (m) => process.send(m.toString()));
s.bind(Number(process.env.PORT));
`, portEnv(port))
		q, l := n.answer(fd)
		if q.Type != UDP4 || q.HasFD || l.Listener != q.Key() {
			t.Errorf("query %+v, listening %+v", q, l)
		}
		client, err := net.Dial("udp4", local(port))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		if got := n.text(); got != "ping" {
			t.Errorf("got %q", got)
		}
		n.disconnect()
	})
}

func TestNodeUDPWithoutPort(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		fd, port := udpSocket(t)
		n := worker(t, path, `require('dgram').createSocket('udp4').bind();`)
		q, l := n.answer(fd)
		if q.Port != 0 || l.Port != port || l.Listener != q.Key() {
			t.Errorf("query %+v, listening %+v", q, l)
		}
		n.disconnect()
	})
}

func TestNodeTLS(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		fd, port := listenerFD(t)
		const script = `require('https').createServer({}, () => {}).listen(Number(process.env.PORT));`
		first, second := worker(t, path, script, portEnv(port)), worker(t, path, script, portEnv(port))
		q := next[Query](first)
		if !strings.Contains(string(q.Data), "ticketKeys") {
			t.Errorf("data %s", q.Data)
		}
		first.give(q, fd)
		next[Listening](first)
		own := next[Query](second)
		if err := second.AnswerHandle(own, own.Key(), q.Data, fd); err != nil {
			t.Fatal(err)
		}
		if l := next[Listening](second); string(l.Data) == string(own.Data) && string(own.Data) == string(q.Data) {
			t.Errorf("listening %+v", l)
		}
		first.disconnect()
		second.disconnect()
	})
}

// accept takes the next connection of the listening socket fd.
func accept(t *testing.T, fd int) int {
	t.Helper()
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	conn, _, err := unix.Accept(fd)
	if err != nil {
		t.Fatal(err)
	}
	unix.CloseOnExec(conn)
	return conn
}

func TestNodeTakesConnections(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		fd, port := listenerFD(t)
		other, otherPort := listenerFD(t)
		n := worker(t, path, server, portEnv(port))
		q, _ := n.answer(fd)
		var served sync.WaitGroup
		for range 5 {
			served.Go(func() {
				if got := get(t, "tcp", local(otherPort)); got != "hello" {
					t.Errorf("got %q", got)
				}
			})
			conn := accept(t, other)
			seq, err := n.NewConn(q.Key(), conn)
			if err != nil {
				t.Fatal(err)
			}
			if a := next[Accepted](n); a.Seq != seq || !a.OK {
				t.Errorf("accepted %+v", a)
			}
			unix.Close(conn)
		}
		served.Wait()
		expectBody(t, "tcp", local(port), "hello")
		n.disconnect()
	})
}

func TestNodeRefusesConnections(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		n := worker(t, path, `process.on('message', () => {});`)
		fd, _ := tcpSocket(t, false)
		seq, err := n.NewConn("nobody's", fd)
		if err != nil {
			t.Fatal(err)
		}
		if got := next[HandleAck](n); got.Seq != seq {
			t.Errorf("acknowledged %+v", got)
		}
		if a := next[Accepted](n); a.Seq != seq || a.OK {
			t.Errorf("accepted %+v", a)
		}
		n.disconnect()
	})
}

func TestNodeGivesASign(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		n := worker(t, path, `process.on('message', () => {});`)
		for i := range 2 {
			seq, err := n.Ping(i == 1)
			if err != nil {
				t.Fatal(err)
			}
			if a := next[Accepted](n); a.Seq != seq || a.OK {
				t.Errorf("accepted %+v", a)
			}
		}
		n.disconnect()
	})
}

// TestNodeAnswersPingsAmongHandles: no descriptor goes astray, whether the worker reads the records one by one or all at once.
func TestNodeAnswersPingsAmongHandles(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		n := worker(t, path, `
const end = Date.now() + 200; // what is sent meanwhile is read in one go
while (Date.now() < end);
process.on('message', () => {});`)
		fd, _ := tcpSocket(t, false)
		var refused []int64
		for range 5 {
			ping, err := n.Ping(false)
			if err != nil {
				t.Fatal(err)
			}
			given, err := n.NewConn("nobody's", fd)
			if err != nil {
				t.Fatal(err)
			}
			refused = append(refused, ping, given)
		}
		var got []int64
		for range refused {
			got = append(got, next[Accepted](n).Seq)
		}
		slices.Sort(got)
		if !slices.Equal(refused, got) {
			t.Errorf("answers to %v, want %v", got, refused)
		}
		n.disconnect()
	})
}

// TestNodeThatWasForkedGivesASign although it knows nothing of a cluster, and the program sees nothing of it.
func TestNodeThatWasForkedGivesASign(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		n := forked(t, path, `process.on('message', (m) => { process.send({ got: m }); process.disconnect(); });`)
		for i := range 3 {
			seq, err := n.Ping(i == 1)
			if err != nil {
				t.Fatal(err)
			}
			if a := next[Accepted](n); a.Seq != seq || a.OK {
				t.Errorf("accepted %+v", a)
			}
		}
		if err := n.Send("end"); err != nil {
			t.Fatal(err)
		}
		if m := next[Message](n); string(m.Raw) != `{"got":"end"}` {
			t.Errorf("the program got %s", m.Raw)
		}
		n.hangsUp()
	})
}

func TestNodeListensAgain(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		fd, port := listenerFD(t)
		n := worker(t, path, `
const http = require('http');
const listen = (body) => {
  const s = http.createServer((req, res) => res.end(body)).listen(Number(process.env.PORT));
  process.once('message', () => s.close(() => listen('again')));
};
listen('first');
`, portEnv(port))
		q1, _ := n.answer(fd)
		expectBody(t, "tcp", local(port), "first")
		if err := n.Send("again"); err != nil {
			t.Fatal(err)
		}
		if c := next[Closed](n); c.Key != q1.Key() {
			t.Errorf("closed %+v", c)
		}
		q2, _ := n.answer(fd)
		if q2.Key() != q1.Key() {
			t.Errorf("keys %q, %q", q1.Key(), q2.Key())
		}
		expectBody(t, "tcp", local(port), "again")
		n.disconnect()
	})
}

func TestNodeLeavesByItself(t *testing.T) {
	for _, how := range []string{"disconnect", "kill"} {
		t.Run(how, func(t *testing.T) {
			everyNode(t, func(t *testing.T, path string, _ int) {
				fd, port := listenerFD(t)
				n := worker(t, path, server+`process.on('message', (m) => require('cluster').worker[m]());`, portEnv(port))
				n.answer(fd)
				if err := n.Send(how); err != nil {
					t.Fatal(err)
				}
				if err := n.AnswerExit(next[ExitedAfterDisconnect](n).Seq); err != nil {
					t.Fatal(err)
				}
				n.ends(0)
			})
		})
	}
}

func TestNodeExits(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		fd, port := listenerFD(t)
		n := worker(t, path, server+`process.on('message', (code) => process.exit(code));`, portEnv(port))
		n.answer(fd)
		if err := n.Send(7); err != nil {
			t.Fatal(err)
		}
		n.ends(7)
	})
}

func TestNodeExitsWithTheMaster(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		fd, port := listenerFD(t)
		n := worker(t, path, server, portEnv(port))
		n.answer(fd)
		n.Close()
		n.exits(0)
	})
}

func TestNodeAddressInUse(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		n := worker(t, path, `
for (const port of [1, 0])
  require('net').createServer().listen(port).on('error', (e) => process.send(e.code));
require('net').createServer().listen('/x/y').on('error', (e) => process.send(e.code));
require('dgram').createSocket('udp4').bind(1).on('error', (e) => process.send(e.code));
`)
		for _, tt := range []struct {
			errno syscall.Errno
			code  string
		}{{unix.EADDRINUSE, "EADDRINUSE"}, {unix.EACCES, "EACCES"}, {unix.ENOENT, "ENOENT"}, {0, "EINVAL"}} {
			q := next[Query](n)
			if err := n.AnswerError(q, q.Key(), tt.errno); err != nil {
				t.Fatal(err)
			}
		}
		codes := map[string]bool{}
		for range 4 {
			codes[n.text()] = true
		}
		if len(codes) != 4 || !codes["EADDRINUSE"] || !codes["EACCES"] || !codes["ENOENT"] || !codes["EINVAL"] {
			t.Errorf("codes %v", codes)
		}
		n.disconnect()
	})
}

// takesServer serves with what comes as a handle.
const takesServer = `
const http = require('http');
process.on('message', (m, handle) => {
  if (!handle) return process.disconnect();
  const s = http.createServer((req, res) => res.end(JSON.stringify(m)));
  handle.on('connection', (c) => s.emit('connection', c));
  process.send('serving');
});
`

func TestNodeTakesServers(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		n := forked(t, path, takesServer)
		fd, port := listenerFD(t)
		sock := filepath.Join(testutil.TempDir(t), "s")
		if err := errors.Join(n.SendServer("server", fd), n.SendServer(map[string]int{"n": 1}, unixSocket(t, sock))); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := n.text(); got != "serving" {
				t.Errorf("got %q", got)
			}
		}
		expectBody(t, "tcp", local(port), `"server"`)
		expectBody(t, "unix", sock, `{"n":1}`)
		if err := n.Send("stop"); err != nil {
			t.Fatal(err)
		}
		n.hangsUp()
	})
}

// A cluster worker takes servers too. Node 18 asks about them, and would crash on any answer.
func TestNodeClusterTakesServers(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, major int) {
		n := worker(t, path, takesServer)
		fd, port := listenerFD(t)
		if err := n.SendServer("server", fd); err != nil {
			t.Fatal(err)
		}
		if major == 18 {
			next[HandleAck](n)
			if err := n.Send("alive"); err != nil {
				t.Fatal(err)
			}
			n.ends(0)
			return
		}
		if got := n.text(); got != "serving" {
			t.Errorf("got %q", got)
		}
		expectBody(t, "tcp", local(port), `"server"`)
		if err := n.Send("stop"); err != nil {
			t.Fatal(err)
		}
		n.ends(0)
	})
}

func TestNodeSendsHandles(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		n := forked(t, path, `
const s = require('http').createServer((req, res) => res.end('from the worker'));
s.listen(0, '127.0.0.1', () => {
  process.send('mine', s);
  process.send('queued behind it');
});
process.on('message', () => process.exit(0));
`)
		m := next[Message](n)
		defer unix.Close(m.FD)
		if text, _ := m.Text(); text != "mine" || m.Type != "net.Server" {
			t.Errorf("message %+v", m)
		}
		if got := n.text(); got != "queued behind it" {
			t.Errorf("got %q", got)
		}
		expectBody(t, "tcp", local(portOf(t, m.FD)), "from the worker")
		if err := n.Send("stop"); err != nil {
			t.Fatal(err)
		}
		n.ends(0)
	})
}

// A worker that passed sockets on asks about them when its server closes.
func TestNodeAsksAboutSockets(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		n := forked(t, path, `
const s = require('net').createServer((c) => {
  process.send('socket', c, () => {
    s.getConnections((err, count) => process.send('count ' + count));
    s.close(() => process.send('closed'));
  });
});
s.listen(0, '127.0.0.1', () => process.send(String(s.address().port)));
process.on('message', () => process.exit(0));
`)
		client, err := net.Dial("tcp", "127.0.0.1:"+n.text())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		m := next[Message](n)
		unix.Close(m.FD)
		if m.Type != "net.Socket" {
			t.Errorf("message %+v", m)
		}
		if a, b := n.text(), n.text(); a != "count 0" && b != "count 0" || a != "closed" && b != "closed" {
			t.Errorf("got %q, %q", a, b)
		}
		if err := n.Send("stop"); err != nil {
			t.Fatal(err)
		}
		n.ends(0)
	})
}

func TestNodeFloods(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		n := forked(t, path, `
for (let i = 0; i < 5000; i++) process.send({i, text: 'é😀'.repeat(20)});
process.send('x'.repeat(3 << 20));
process.on('message', (m) => m === 'end' ? process.exit(0) : process.send(m));
`)
		for i := range 5000 {
			want := fmt.Sprintf(`{"i":%d,"text":"%s"}`, i, strings.Repeat("é😀", 20))
			if m := next[Message](n); string(m.Raw) != want {
				t.Fatalf("message %d: %s", i, m.Raw)
			}
		}
		if got := n.text(); len(got) != 3<<20 {
			t.Errorf("%d bytes", len(got))
		}
		background(t, func() { n.flood(2000) })
		for i := range 2000 {
			if m := next[Message](n); string(m.Raw) != fmt.Sprint(i) {
				t.Fatalf("message %d: %s", i, m.Raw)
			}
		}
		if err := n.Send("end"); err != nil {
			t.Fatal(err)
		}
		n.ends(0)
	})
}

func (n *node) flood(count int) {
	for i := range count {
		if err := n.Send(i); err != nil {
			n.t.Error(err)
			return
		}
	}
}

// Handles far beyond what may be unacknowledged arrive all, in order, and among the messages around them.
func TestNodeManyHandles(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		n := worker(t, path, `
process.on('message', (m) => process.send(m));
`)
		fd, _ := tcpSocket(t, false)
		const count = 100
		for i := range count {
			if _, err := n.NewConn("nobody's", fd); err != nil {
				t.Fatal(err)
			}
			if err := n.Send(i); err != nil {
				t.Fatal(err)
			}
		}
		var acked, refused, echoed int
		for acked+refused+echoed < 3*count {
			ev, err := n.Receive()
			if err != nil {
				t.Fatal(err)
			}
			switch ev := ev.(type) {
			case HandleAck:
				acked++
			case Accepted:
				refused++
				if ev.OK || ev.Seq != int64(refused) {
					t.Errorf("%+v", ev)
				}
			case Message:
				if string(ev.Raw) != fmt.Sprint(echoed) {
					t.Errorf("message %s", ev.Raw)
				}
				echoed++
			}
		}
		n.disconnect()
	})
}

// A worker at its limit of descriptors refuses the handle, makes room, and gets it again.
func TestNodeWithoutRoomForHandles(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		n := startNode(t, []string{"/bin/sh", "-c", `ulimit -n 128; exec "$0" "$@"`, path}, `
const fs = require('fs');
const fds = [];
const send = process._send;
process._send = function (m, ...rest) {
  if (m && m.cmd === 'NODE_HANDLE_NACK') for (const fd of fds.splice(0)) fs.closeSync(fd);
  return send.call(this, m, ...rest);
};
`+takesServer+`
try { for (;;) fds.push(fs.openSync('/dev/null')); } catch (e) { process.send(e.code); }
`)
		if got := n.text(); got != "EMFILE" {
			t.Fatalf("got %q", got)
		}
		fd, port := listenerFD(t)
		if err := n.SendServer("server", fd); err != nil {
			t.Fatal(err)
		}
		if got := next[HandleAck](n); !got.Server {
			t.Errorf("acknowledged %+v", got)
		}
		if got := n.text(); got != "serving" {
			t.Errorf("got %q", got)
		}
		expectBody(t, "tcp", local(port), `"server"`)
	})
}

// The master goes on in another process image at every step, and the worker does not notice.
func TestNodeOutlivesTheMastersExec(t *testing.T) {
	everyNode(t, func(t *testing.T, path string, _ int) {
		fd, port := listenerFD(t)
		n := worker(t, path, server, portEnv(port))
		next := func() Event {
			n.Conn = carryOn(t, n.Conn, Options{})
			for {
				ev, err := n.Receive()
				if err != nil {
					t.Fatal(err, n.output)
				}
				if _, skip := ev.(HandleAck); !skip {
					return ev
				}
			}
		}
		q, ok := next().(Query)
		if !ok {
			t.Fatal("no query")
		}
		n.give(q, fd)
		if l, ok := next().(Listening); !ok || l.Listener != q.Key() {
			t.Fatalf("listening %+v", l)
		}
		expectBody(t, "tcp", local(port), "hello")
		if err := n.Disconnect(); err != nil {
			t.Fatal(err)
		}
		if c, ok := next().(Closed); !ok || c.Key != q.Key() {
			t.Errorf("closed %+v", c)
		}
		n.ends(0)
	})
}
