package nodeipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/testutil"
)

func TestMain(m *testing.M) { testutil.Goroutines(m) }

// peer is the worker's end of a channel, in the hands of the test.
type peer struct {
	t    testing.TB
	conn *net.UnixConn
	buf  []byte
	fds  []int
}

// pair makes a channel that the test's end closes.
func pair(t testing.TB, opts Options) (*Conn, *peer) {
	t.Helper()
	c, fd, err := Pair(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, newPeer(t, fd)
}

func newPeer(t testing.TB, fd int) *peer {
	t.Helper()
	f := os.NewFile(uintptr(fd), "worker")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, conn: conn.(*net.UnixConn)}
	if err := conn.SetDeadline(testutil.Deadline(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

func (p *peer) close() {
	p.conn.Close()
	for _, fd := range p.fds {
		unix.Close(fd)
	}
	p.fds = nil
}

// write sends s in one sendmsg, with fds.
func (p *peer) write(s string, fds ...int) {
	p.t.Helper()
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if err := p.tryWrite(s, oob); err != nil {
		p.t.Error(err)
	}
}

func (p *peer) tryWrite(s string, oob []byte) error {
	n, _, err := p.conn.WriteMsgUnix([]byte(s), oob, nil)
	if err == nil && n < len(s) {
		_, err = p.conn.Write([]byte(s[n:])) // a stream socket may take a part only
	}
	return err
}

// read returns the next record without its newline, and counts the descriptors it takes in.
func (p *peer) read() string {
	p.t.Helper()
	for {
		if i := bytes.IndexByte(p.buf, '\n'); i >= 0 {
			record := string(p.buf[:i])
			p.buf = p.buf[i+1:]
			return record
		}
		if !p.more() {
			p.t.Fatalf("channel ended after %.200q", p.buf)
		}
	}
}

func (p *peer) more() bool {
	chunk, oob := make([]byte, 256<<10), make([]byte, unix.CmsgSpace(4*4))
	n, oobn, _, _, err := p.conn.ReadMsgUnix(chunk, oob)
	if err != nil || n == 0 {
		return false
	}
	p.buf = append(p.buf, chunk[:n]...)
	p.fds = append(p.fds, rights(oob[:oobn], false)...)
	return true
}

// expect reads records and compares them.
func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.read(); got != w {
			p.t.Fatalf("record\n%.2000s\nwant\n%.2000s", got, w)
		}
	}
}

// background runs f beside the test, which does not end before it.
func background(t testing.TB, f func()) {
	var wg sync.WaitGroup
	wg.Go(f)
	t.Cleanup(wg.Wait)
}

// receiveA returns the next event, which must be a T.
func receiveA[T Event](t testing.TB, c *Conn) T {
	t.Helper()
	ev, err := c.Receive()
	if err != nil {
		t.Fatal(err)
	}
	got, ok := ev.(T)
	if !ok {
		t.Fatalf("event %T %+v, want %T", ev, ev, got)
	}
	return got
}

func expectEvent(t testing.TB, c *Conn, want Event) {
	t.Helper()
	got, err := c.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("event (-want +got):\n%s", diff)
	}
}

func expectEnd(t testing.TB, c *Conn, want error) {
	t.Helper()
	for range 2 {
		if ev, err := c.Receive(); !errors.Is(err, want) {
			t.Fatalf("got %v, %v; want %v", ev, err, want)
		}
	}
}

func expectViolation(t testing.TB, c *Conn, reason string) {
	t.Helper()
	for range 2 {
		ev, err := c.Receive()
		bad, ok := errors.AsType[*ProtocolError](err)
		if !ok || !strings.Contains(bad.Reason, reason) {
			t.Fatalf("got %v, %v; want a ProtocolError about %q", ev, err, reason)
		}
	}
}

// listenerFD returns a listening TCP socket of the test's and its port.
func listenerFD(t testing.TB) (int, int) {
	t.Helper()
	return tcpSocket(t, true)
}

func tcpSocket(t testing.TB, listen bool) (fd, port int) {
	t.Helper()
	fd = ownSocket(t, unix.AF_INET, unix.SOCK_STREAM)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if listen {
		if err := unix.Listen(fd, 128); err != nil {
			t.Fatal(err)
		}
	}
	return fd, portOf(t, fd)
}

func udpSocket(t testing.TB) (fd, port int) {
	t.Helper()
	fd = ownSocket(t, unix.AF_INET, unix.SOCK_DGRAM)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	return fd, portOf(t, fd)
}

func unixSocket(t testing.TB, path string) int {
	t.Helper()
	fd := ownSocket(t, unix.AF_UNIX, unix.SOCK_STREAM)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 128)); err != nil {
		t.Fatal(err)
	}
	return fd
}

// ownSocket makes a blocking socket, as a careless caller would.
func ownSocket(t testing.TB, family, kind int) int {
	t.Helper()
	fd, err := unix.Socket(family, kind, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.CloseOnExec(fd)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func portOf(t testing.TB, fd int) int {
	t.Helper()
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return name.(*unix.SockaddrInet4).Port
}

func sameSocket(t testing.TB, a, b int) bool {
	t.Helper()
	var sa, sb unix.Stat_t
	if err := errors.Join(unix.Fstat(a, &sa), unix.Fstat(b, &sb)); err != nil {
		t.Fatal(err)
	}
	return sa.Ino == sb.Ino && sa.Dev == sb.Dev
}

const ack = `{"cmd":"NODE_HANDLE_ACK"}`

const nack = `{"cmd":"NODE_HANDLE_NACK"}`

func query(seq int, port int) Query {
	return Query{Seq: json.Number(fmt.Sprint(seq)), Data: raw("null"), Port: port, HasPort: true, Type: TCP4}
}

func handleOf(msg string) string {
	return `{"cmd":"NODE_HANDLE","type":"net.Server","msg":` + msg + `}`
}

func TestConversation(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	fd, port := listenerFD(t)
	asked := fmt.Sprintf(`"index":0,"data":null,"address":null,"port":%d,"addressType":4,"backlog":0`, port)
	p.write(cluster(`"act":"online","seq":0`) + "\n" + cluster(`"act":"queryServer",`+asked+`,"seq":1`) + "\n")
	expectEvent(t, c, Online{})
	q := receiveA[Query](t, c)
	key := q.Key()
	if err := c.AnswerHandle(q, key, nil, fd); err != nil {
		t.Fatal(err)
	}
	p.expect(fmt.Sprintf(`{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"null:%d:4:undefined:0","ack":1,"data":null,"seq":1},"socketType":1,"nativeKind":"tcp"}`, port))
	if len(p.fds) != 1 || !sameSocket(t, p.fds[0], fd) {
		t.Fatalf("descriptors %v", p.fds)
	}
	if flags, _ := unix.FcntlInt(uintptr(p.fds[0]), unix.F_GETFL, 0); flags&unix.O_NONBLOCK == 0 {
		t.Error("the worker got a blocking listener")
	}
	p.write(ack + "\n" + cluster(`"act":"listening",`+asked+`,"seq":2`) + "\n")
	expectEvent(t, c, HandleAck{Key: key})
	if l := receiveA[Listening](t, c); l.Listener != key || l.Port != port {
		t.Errorf("listening %+v", l)
	}
	seq, err := c.NewConn(key, ownSocket(t, unix.AF_INET, unix.SOCK_STREAM))
	if err != nil || seq != 2 {
		t.Fatal(seq, err)
	}
	p.expect(fmt.Sprintf(`{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn","key":"null:%d:4:undefined:0","seq":2},"socketType":0,"nativeKind":"tcp"}`, port))
	p.write(ack + "\n" + cluster(`"ack":2,"accepted":true,"seq":3`) + "\n")
	expectEvent(t, c, HandleAck{Key: key, Seq: 2})
	expectEvent(t, c, Accepted{Seq: 2, OK: true})
	p.write(cluster(`"act":"close","key":"`+key+`","seq":4`) + "\n" + cluster(`"act":"exitedAfterDisconnect","seq":5`) + "\n")
	expectEvent(t, c, Closed{Key: key})
	expectEvent(t, c, ExitedAfterDisconnect{Seq: "5"})
	if err := errors.Join(c.AnswerExit("5"), c.Disconnect(), c.Send("shutdown"), c.AnswerError(query(9, 1), "k", unix.EADDRINUSE)); err != nil {
		t.Fatal(err)
	}
	p.expect(`{"cmd":"NODE_CLUSTER","ack":5,"seq":3}`, `{"cmd":"NODE_CLUSTER","act":"disconnect","seq":4}`, `"shutdown"`,
		fmt.Sprintf(`{"cmd":"NODE_CLUSTER","errno":-%d,"key":"k","ack":9,"data":null,"seq":5}`, int(unix.EADDRINUSE)))
	p.close()
	expectEnd(t, c, io.EOF)
	if err := c.Send("late"); !errors.Is(err, ErrClosed) {
		t.Errorf("send after the end: %v", err)
	}
}

func TestListeningFindsItsListener(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	fd, port := listenerFD(t)
	ask := func(index, seq int) string {
		return cluster(fmt.Sprintf(`"act":"queryServer","index":%d,"data":null,"address":null,"port":0,"addressType":4,"seq":%d`, index, seq)) + "\n"
	}
	p.write(ask(0, 1) + ask(1, 2))
	var keys []string
	for range 2 {
		q := receiveA[Query](t, c)
		keys = append(keys, q.Key())
		if err := c.AnswerHandle(q, q.Key(), nil, fd); err != nil {
			t.Fatal(err)
		}
	}
	p.write(cluster(fmt.Sprintf(`"act":"listening","index":1,"data":null,"address":null,"port":%d,"addressType":4,"seq":3`, port)) + "\n")
	if l := receiveA[Listening](t, c); l.Listener != keys[1] || l.Port != port {
		t.Errorf("listening %+v", l)
	}
	p.write(cluster(`"act":"listening","index":0,"address":"::","port":1,"addressType":6,"seq":3`) + "\n")
	if l := receiveA[Listening](t, c); l.Listener != "" {
		t.Errorf("listening %+v", l)
	}
}

func TestKeysAreUsedOnce(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	fd, port := listenerFD(t)
	q := query(1, port)
	if err := c.AnswerHandle(q, "k", nil, fd); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"k", ""} {
		if err := c.AnswerHandle(q, key, nil, fd); !errors.Is(err, ErrKey) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	p.write(cluster(`"act":"close","key":"k","seq":1`) + "\n")
	expectEvent(t, c, Closed{Key: "k"})
	if err := c.AnswerHandle(q, "k", nil, fd); err != nil {
		t.Errorf("after the close: %v", err)
	}
}

func TestOnlySocketsThatNodeCanTake(t *testing.T) {
	t.Parallel()
	c, _ := pair(t, Options{})
	file, _ := owned(t)
	defer unix.Close(file)
	udp, _ := udpSocket(t)
	tcp, _ := tcpSocket(t, false)
	unixDgram := ownSocket(t, unix.AF_UNIX, unix.SOCK_DGRAM)
	for _, fd := range []int{file, unixDgram, udp, -1} {
		if err := c.SendServer("server", fd); !errors.Is(err, ErrHandle) {
			t.Errorf("server %d: %v", fd, err)
		}
		if _, err := c.NewConn("k", fd); !errors.Is(err, ErrHandle) {
			t.Errorf("connection %d: %v", fd, err)
		}
		if err := c.AnswerHandle(query(1, 1), "k", nil, fd); !errors.Is(err, ErrHandle) {
			t.Errorf("listener %d: %v", fd, err)
		}
	}
	udpQuery := Query{Seq: "1", Type: UDP4}
	if err := c.AnswerHandle(udpQuery, "k", nil, tcp); !errors.Is(err, ErrHandle) {
		t.Errorf("TCP for UDP: %v", err)
	}
	if err := c.AnswerHandle(udpQuery, "k", nil, udp); err != nil {
		t.Errorf("UDP for UDP: %v", err)
	}
	if err := c.SendServer(map[string]string{"cmd": "NODE_CLUSTER"}, tcp); !errors.Is(err, ErrMessage) {
		t.Errorf("internal message: %v", err)
	}
}

// The kernel glues records without descriptors in front of the one that has some.
func TestDescriptorBelongsToTheLastRecord(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	fd, _ := listenerFD(t)
	p.write("1\n")
	p.write("2\n\"3\"\n")
	p.write(handleOf(`"here"`)+"\n", fd)
	p.write("4\n")
	for _, want := range []string{"1", "2", `"3"`} {
		expectEvent(t, c, user(want))
	}
	m := receiveA[Message](t, c)
	defer unix.Close(m.FD)
	if string(m.Raw) != `"here"` || m.Type != "net.Server" || !sameSocket(t, m.FD, fd) {
		t.Errorf("message %+v", m)
	}
	if flags, _ := unix.FcntlInt(uintptr(m.FD), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
		t.Error("received descriptor does not close on exec")
	}
	expectEvent(t, c, user("4"))
	p.expect(ack)
}

func TestEveryHandleIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	fd, _ := listenerFD(t)
	again := `{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_HANDLE","type":"net.Socket","msg":"sock","key":"6::::3000"}}`
	p.write(again+"\n", fd)
	m := receiveA[Message](t, c)
	unix.Close(m.FD)
	if string(m.Raw) != `"sock"` || m.Type != "net.Socket" {
		t.Errorf("message %+v", m)
	}
	p.write(handleOf(`"nothing with it"`) + "\n1\n")
	expectEvent(t, c, user("1"))
	p.write(`{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn"}}`+"\n", fd)
	p.write("\"end\"\n")
	expectEvent(t, c, user(`"end"`))
	p.expect(ack, nack, ack)
	if err := c.Send(1); err != nil {
		t.Fatal(err)
	}
	p.expect("1")
}

func TestQuestionsAboutSockets(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	p.write(`{"cmd":"NODE_SOCKET_GET_COUNT","key":"6::::3000"}` + "\n" + `{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"6::::3000"}` + "\n1\n")
	expectEvent(t, c, user("1"))
	p.expect(`{"cmd":"NODE_SOCKET_COUNT","key":"6::::3000","count":0}`, `{"cmd":"NODE_SOCKET_ALL_CLOSED","key":"6::::3000"}`)
}

func TestByteByByte(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	fd, _ := listenerFD(t)
	want := []string{`"é😀"`, handleOf(`{"ü":"→"}`), cluster(`"act":"online","seq":0`)}
	background(t, func() {
		for _, record := range want {
			for i := range len(record) + 1 {
				b := (record + "\n")[i : i+1]
				if i == 0 && strings.Contains(record, "NODE_HANDLE") {
					p.write(b, fd)
					continue
				}
				p.write(b)
			}
		}
	})
	if s, _ := receiveA[Message](t, c).Text(); s != "é😀" {
		t.Errorf("text %q", s)
	}
	m := receiveA[Message](t, c)
	unix.Close(m.FD)
	if string(m.Raw) != `{"ü":"→"}` {
		t.Errorf("message %s", m.Raw)
	}
	expectEvent(t, c, Online{})
}

func TestLongRecords(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{MaxRecord: 4 << 20})
	long := `"` + strings.Repeat("x", 3<<20) + `"`
	background(t, func() { p.write(long + "\n1\n") })
	if m := receiveA[Message](t, c); string(m.Raw) != long {
		t.Errorf("%d bytes", len(m.Raw))
	}
	expectEvent(t, c, user("1"))
	c.in.room()
	if n := cap(c.in.base); n > keepBuffer {
		t.Errorf("keeps a buffer of %d bytes", n)
	}
}

func TestRecordIsTooLong(t *testing.T) {
	t.Parallel()
	for _, record := range []string{strings.Repeat("x", 2000), `"` + strings.Repeat("x", 999) + `"` + "\n"} {
		c, p := pair(t, Options{MaxRecord: 1000})
		p.write(record)
		expectViolation(t, c, "too long")
	}
	c, p := pair(t, Options{MaxRecord: 1000})
	exact := `"` + strings.Repeat("x", 998) + `"`
	p.write(exact + "\n")
	expectEvent(t, c, user(exact))
}

func TestViolations(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, wire, reason string }{
		{"garbage", "Listening on 3000\n", "not JSON"},
		{"empty line", "\n", "not JSON"},
		{"acknowledgement", ack + "\n", "acknowledgement of nothing"},
		{"refusal", nack + "\n", "acknowledgement of nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, p := pair(t, Options{})
			p.write(tt.wire)
			expectViolation(t, c, tt.reason)
		})
	}
}

func TestHandlesWithoutEnd(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	background(t, func() {
		for p.tryWrite(handleOf("1")+"\n", nil) == nil { // until the channel is closed
		}
	})
	expectViolation(t, c, "without waiting")
	c.Close()
}

// holdWriter fills the channel: the writer waits, or will soon.
func holdWriter(t testing.TB, c *Conn) {
	t.Helper()
	fill := strings.Repeat("x", 64<<10)
	for {
		err := c.Send(fill)
		if errors.Is(err, ErrFull) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestDescriptorsWithoutRecords(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	fd, closed := owned(t)
	for range maxFDs/4 + 1 {
		p.write("[", fd, fd, fd, fd)
	}
	unix.Close(fd)
	expectViolation(t, c, "descriptors came without")
	c.Close()
	if !closed() {
		t.Error("received descriptors are still open")
	}
}

func TestDroppedDescriptor(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	fd, _ := listenerFD(t)
	whole := c.oob
	c.oob = whole[:unix.CmsgLen(0)] // what a process at its limit sees: MSG_CTRUNC, and no descriptor
	p.write("1\n"+handleOf(`"lost"`)+"\n", fd)
	expectEvent(t, c, user("1"))
	c.oob = whole
	p.write(handleOf(`"here"`)+"\n", fd)
	m := receiveA[Message](t, c)
	defer unix.Close(m.FD)
	if string(m.Raw) != `"here"` || !sameSocket(t, m.FD, fd) {
		t.Errorf("message %+v", m)
	}
	p.expect(nack, ack)
}

func TestWorkerDiesInTheMiddleOfARecord(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	p.write("1\n" + `{"cmd":"NODE_`)
	p.close()
	expectEvent(t, c, user("1"))
	expectEnd(t, c, io.EOF)
}

func TestWorkerDiesWithRecordsUnread(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	p.write("1\n")
	holdWriter(t, c)
	p.close()
	expectEvent(t, c, user("1"))
	expectEnd(t, c, io.EOF)
}

// A worker that shuts its side down and goes on reading nothing must not hold Receive or Close.
func TestWorkerShutsDownItsSide(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	holdWriter(t, c)
	if err := p.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	expectEnd(t, c, io.EOF)
	if err := c.Send(1); !errors.Is(err, ErrClosed) {
		t.Errorf("send: %v", err)
	}
}

func TestLostHandles(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{MaxHandles: 2})
	tcp, port := listenerFD(t)
	q := query(1, port)
	if err := errors.Join(c.SendServer("server", tcp), c.AnswerHandle(q, "k", nil, tcp), c.Send("between")); err != nil {
		t.Fatal(err)
	}
	seq, err := c.NewConn("k", tcp)
	if err != nil {
		t.Fatal(err)
	}
	p.read()
	p.write(ack + "\n")
	expectEvent(t, c, HandleAck{Server: true})
	p.close()
	expectEvent(t, c, HandleLost{Key: "k"})
	expectEvent(t, c, HandleLost{Key: "k", Seq: seq})
	expectEnd(t, c, io.EOF)
}

func TestRefusedHandleComesAgain(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	fd, port := listenerFD(t)
	if err := c.AnswerHandle(query(1, port), "k", nil, fd); err != nil {
		t.Fatal(err)
	}
	if err := c.Send("after"); err != nil {
		t.Fatal(err)
	}
	first := p.read()
	p.expect(`"after"`)
	p.write(nack + "\n1\n")
	expectEvent(t, c, user("1"))
	p.expect(first)
	if len(p.fds) != 2 || !sameSocket(t, p.fds[1], fd) {
		t.Fatalf("descriptors %v", p.fds)
	}
	p.write(ack + "\n")
	expectEvent(t, c, HandleAck{Key: "k"})
}

func TestHandleIsRefusedForEver(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	fd, port := listenerFD(t)
	if err := c.AnswerHandle(query(1, port), "k", nil, fd); err != nil {
		t.Fatal(err)
	}
	background(t, func() {
		for range maxTries + 1 {
			p.read()
			p.write(nack + "\n")
		}
	})
	expectEvent(t, c, HandleLost{Key: "k"})
	if err := c.AnswerHandle(query(1, port), "k", nil, fd); err != nil {
		t.Errorf("key of a lost handle: %v", err)
	}
}

func TestWorkerNeverAcknowledges(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{MaxHandles: 2})
	fd, _ := listenerFD(t)
	var err error
	sent := 0
	for err == nil {
		_, err = c.NewConn("k", fd)
		sent++
	}
	if limit := DefaultMaxQueue / handleCharge; !errors.Is(err, ErrFull) || sent > limit {
		t.Fatalf("after %d: %v", sent, err)
	}
	p.read()
	p.read()
	if err := p.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for range sent - 1 {
		receiveA[HandleLost](t, c)
	}
	expectEnd(t, c, io.EOF)
	if len(p.fds) != 2 {
		t.Errorf("%d handles under way", len(p.fds))
	}
}

func TestWorkerNeverReads(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	holdWriter(t, c)
	fd, _ := listenerFD(t)
	var err error
	for err == nil {
		err = c.SendServer("server", fd)
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	p.write("1\n")
	expectEvent(t, c, user("1"))
}

// The worker's handle must be answered although the channel is full and a record is written in part.
func TestAcknowledgementFindsItsWay(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	holdWriter(t, c)
	p.write(handleOf("1") + "\n2\n")
	expectEvent(t, c, user("2"))
	for {
		record := p.read()
		if record == nack {
			return
		}
		if !json.Valid([]byte(record)) {
			t.Fatalf("broken record %.100q", record)
		}
	}
}

func TestFlood(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{})
	const n = 5000
	background(t, func() {
		for i := range n {
			p.write(fmt.Sprintf("%d\n", i))
		}
		p.close()
	})
	for i := range n {
		expectEvent(t, c, user(fmt.Sprint(i)))
	}
	expectEnd(t, c, io.EOF)
}

func TestSendersAndReceiverAtOnce(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{MaxHandles: 3})
	const n = 100
	fd, _ := listenerFD(t)
	failed := make(chan error, 2)
	background(t, func() {
		for range n {
			if _, err := c.NewConn("k", fd); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	})
	background(t, func() {
		for range n {
			if err := c.Send("x"); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	})
	background(t, func() {
		for range 2 * n {
			if strings.Contains(p.read(), "NODE_HANDLE") {
				p.write(ack + "\n")
			}
		}
	})
	for i := range n {
		if got := receiveA[HandleAck](t, c); got.Seq != int64(i+1) {
			t.Fatalf("acknowledged %d after %d", got.Seq, i)
		}
	}
	if err := errors.Join(<-failed, <-failed); err != nil {
		t.Error(err)
	}
}

func TestCloseWakesReceive(t *testing.T) {
	t.Parallel()
	c, _ := pair(t, Options{})
	got := make(chan error)
	background(t, func() {
		_, err := c.Receive()
		got <- err
	})
	if c.FD() < 0 {
		t.Error("no number")
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if err := <-got; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	expectEnd(t, c, ErrClosed)
	if c.FD() != -1 {
		t.Error("a number after Close")
	}
	if err := c.Send(1); !errors.Is(err, ErrClosed) {
		t.Errorf("send: %v", err)
	}
}

// Not parallel: it counts the descriptors of the process.
func TestNothingLeaks(t *testing.T) {
	testutil.CheckLeaks(t)
	c, fd, err := Pair(Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, fd)
	sock, _ := listenerFD(t)
	for range 2 * DefaultMaxHandles {
		if err := c.SendServer(strings.Repeat("x", 20000), sock); err != nil {
			t.Fatal(err)
		}
	}
	p.write("1\n")
	p.write(handleOf("2")+"\n", sock)
	expectEvent(t, c, user("1"))
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestAdopted(t *testing.T) {
	t.Parallel()
	c, p := pair(t, Options{Adopted: true, FirstSeq: 1000})
	p.write(`rdered","seq":5}` + "\n" + ack + "\n" + nack + "\n" + cluster(`"ack":7,"accepted":true,"seq":6`) + "\n")
	expectEvent(t, c, Accepted{Seq: 7, OK: true})
	if err := c.Disconnect(); err != nil {
		t.Fatal(err)
	}
	p.expect(`{"cmd":"NODE_CLUSTER","act":"disconnect","seq":1000}`)
	p.write("garbage\n")
	expectViolation(t, c, "not JSON")
}

func TestNewWantsADescriptor(t *testing.T) {
	t.Parallel()
	if _, err := New(-1, Options{}); err == nil {
		t.Error("no error")
	}
}
