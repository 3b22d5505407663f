package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serve answers each connection on its own goroutine by handle and closes it afterwards, until the test ends.
func serve(t *testing.T, network, addr string, handle func(n int, c net.Conn, br *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				handle(n, c, bufio.NewReader(c))
			}()
		}
	}()
	return l.Addr().String()
}

// request reads a request; false at EOF.
func request(br *bufio.Reader) bool {
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return false
		}
		if line == "\r\n" {
			return true
		}
	}
}

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npid: 42"

// reset closes c with a reset.
func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

func TestEachRequestEndsInOneKind(t *testing.T) {
	t.Parallel()
	say := func(text string) func(int, net.Conn, *bufio.Reader) {
		return func(_ int, c net.Conn, br *bufio.Reader) {
			request(br)
			_, _ = io.WriteString(c, text)
		}
	}
	for _, tt := range []struct {
		name   string
		handle func(int, net.Conn, *bufio.Reader)
		want   Kind
	}{
		{"length", say(hello), OK},
		{"chunked", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\npid\r\n4;x=y\r\n: 42\r\n0\r\nT: v\r\n\r\n"), OK},
		{"until close", say("HTTP/1.0 200 OK\r\n\r\npid: 42"), OK},
		{"redirect", say("HTTP/1.1 302 Found\r\nContent-Length: 7\r\n\r\npid: 42"), OK},
		{"unavailable", say("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\n\r\npid: 42"), BadStatus},
		{"closed", say(""), EOF},
		{"truncated header", say("HTTP/1.1 200 OK\r\nContent-"), Truncated},
		{"truncated body", say("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npid: 42"), Truncated},
		{"truncated chunk", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\npi"), Truncated},
		{"not HTTP", say("SSH-2.0-OpenSSH_9.2\r\n"), Other},
		{"reset", func(_ int, c net.Conn, br *bufio.Reader) { request(br); reset(c) }, Reset},
		{"reset in response", func(_ int, c net.Conn, br *bufio.Reader) {
			request(br)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			reset(c)
		}, ResetMid},
		{"silence", func(_ int, c net.Conn, br *bufio.Reader) { request(br); request(br) }, Timeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr := serve(t, "tcp", "127.0.0.1:0", tt.handle)
			timeout := 30 * time.Second
			if tt.want == Timeout {
				timeout = 50 * time.Millisecond
			}
			r, err := Run(t.Context(), Options{Addr: addr, Timeout: timeout})
			if err != nil {
				t.Fatal(err)
			}
			got := [kinds]int{r.OK, r.BadStatus, r.Refused, r.Reset, r.ResetMid, r.EOF, r.Truncated, r.Timeout, len(r.Other)}
			var want [kinds]int
			want[tt.want] = 1
			if diff := cmp.Diff(want, got); diff != "" || r.Requests != 1 {
				t.Errorf("requests %d, kinds (-want +got):\n%s%s", r.Requests, diff, r)
			}
			if answered := tt.want == OK || tt.want == BadStatus; answered && r.ByPID[42] != 1 {
				t.Errorf("by pid: %v", r.ByPID)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	for _, o := range []Options{{Addr: addr, Count: 3}, {URL: "unix:" + filepath.Join(t.TempDir(), "none"), Count: 3}} {
		r, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Refused != 3 || r.Requests != 3 || r.Failed() != 3 || r.Connections != 0 {
			t.Errorf("%+v: %s", o, r)
		}
	}
}

// keepAlive answers every request of a connection.
func keepAlive(_ int, c net.Conn, br *bufio.Reader) {
	for request(br) {
		_, _ = io.WriteString(c, hello)
	}
}

func TestConnectionsAreKeptOrNot(t *testing.T) {
	t.Parallel()
	addr := serve(t, "tcp", "127.0.0.1:0", keepAlive)
	closing := serve(t, "tcp", "127.0.0.1:0", func(_ int, c net.Conn, br *bufio.Reader) {
		request(br)
		_, _ = io.WriteString(c, strings.Replace(hello, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
	})
	for _, tt := range []struct {
		name string
		opts Options
		want int
	}{
		{"kept", Options{Addr: addr}, 4},
		{"not wanted", Options{Addr: closing, NewConnPerRequest: true}, 40},
		{"closed by the server", Options{Addr: closing}, 40},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.opts.Clients, tt.opts.Count = 4, 40
			r, err := Run(t.Context(), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if r.OK != 40 || r.Connections > tt.want || tt.want == 40 && r.Connections != 40 || r.Retried != 0 || r.Latency.Count() != 40 {
				t.Error(r)
			}
		})
	}
}

func TestIdleConnectionThatWasClosedIsRetried(t *testing.T) {
	t.Parallel()
	// Every connection answers once and closes at the next request, as a server does whose keep-alive time ran out.
	once := func(_ int, c net.Conn, br *bufio.Reader) {
		request(br)
		_, _ = io.WriteString(c, hello)
		request(br)
	}
	addr := serve(t, "tcp", "127.0.0.1:0", once)
	r, err := Run(t.Context(), Options{Addr: addr, Count: 10})
	if err != nil {
		t.Fatal(err)
	}
	if r.OK != 10 || r.Retried != 9 {
		t.Error(r)
	}
	r, err = Run(t.Context(), Options{Addr: addr, Count: 10, NoRetry: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.OK != 5 || r.EOF != 5 || r.Retried != 0 {
		t.Error(r)
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp4", "tcp6", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			listen := map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": filepath.Join(t.TempDir(), "s")}[network]
			addr := serve(t, network, listen, keepAlive)
			url := "http://" + addr + "/x?y"
			if network == "unix" {
				url = "unix:" + addr
			}
			r, err := Run(t.Context(), Options{URL: url, Count: 3})
			if err != nil || r.OK != 3 {
				t.Error(r, err)
			}
		})
	}
}

func TestDurationEndsTheRun(t *testing.T) {
	t.Parallel()
	addr := serve(t, "tcp", "127.0.0.1:0", keepAlive)
	r, err := Run(t.Context(), Options{Addr: addr, Clients: 2, Duration: 50 * time.Millisecond, ThinkTime: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.OK == 0 || r.Failed() != 0 || r.Elapsed < 50*time.Millisecond || r.Rate() == 0 {
		t.Error(r)
	}
}

func TestEndOfContextDropsWhatIsInFlight(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var served atomic.Int32
	addr := serve(t, "tcp", "127.0.0.1:0", func(_ int, c net.Conn, br *bufio.Reader) {
		for request(br) {
			if served.Add(1) == 3 {
				cancel()
				return
			}
			_, _ = io.WriteString(c, hello)
		}
	})
	r, err := Run(ctx, Options{Addr: addr, Count: 100})
	if err != nil {
		t.Fatal(err)
	}
	if r.OK != 2 || r.Requests != 2 {
		t.Error(r)
	}
}

func TestSlowAnswersAreListed(t *testing.T) {
	t.Parallel()
	addr := serve(t, "tcp", "127.0.0.1:0", keepAlive)
	r, err := Run(t.Context(), Options{Addr: addr, Count: 5, SlowAfter: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Slow) != 5 || r.Slow[0].PID != 42 || r.Slow[4].At.Before(r.Slow[0].At) {
		t.Errorf("slow: %+v", r.Slow)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{}, {URL: "https://127.0.0.1:1"}, {URL: "http://%"}} {
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestPidOf(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		"":                                  0,
		"I am worker, pid: 12, ppid: 7":     12,
		"I am worker, ppid: 7, pid: 12":     12,
		"ppid: 7":                           0,
		"pid: ":                             0,
		fmt.Sprintf("pid: %d\n", 1<<20):     1 << 20,
		"hello\npid: 99 of slot 3, pid: 11": 99,
	} {
		if got := pidOf([]byte(body)); got != want {
			t.Errorf("pidOf(%q) = %d, want %d", body, got, want)
		}
	}
}
