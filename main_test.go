package muster_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/musterd/muster"
)

// roleVariable makes the test binary a worker.
const roleVariable = "MUSTER_SDK_TEST_ROLE"

func TestMain(m *testing.M) {
	role, ok := roles[os.Getenv(roleVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	err := role()
	fmt.Println("returned", err)
	if err != nil {
		os.Exit(1)
	}
}

// roles are the workers of the tests. A worker tells on stdout what it does, a line each.
var roles = map[string]func() error{
	"http":    func() error { return serve(muster.Options{}) },
	"keep":    func() error { return serve(muster.Options{KeepOnPanic: true}) },
	"hurried": func() error { return serve(muster.Options{ShutdownTimeout: 200 * time.Millisecond}) },
	"manual":  manual,
	"tls":     serveTLS,
	"two":     serveTwo,
	"listen":  listenOnly,
	"packet":  packet,
	"info":    info,
}

func addr() string { return os.Getenv("ADDR") }

func serve(o muster.Options) error {
	return o.Serve(newServer(handler()))
}

// newServer says on stdout which address it has.
func newServer(h http.Handler) *http.Server {
	return &http.Server{Addr: addr(), Handler: h, BaseContext: sayAddress}
}

func manual() error {
	go func() {
		io.Copy(io.Discard, os.Stdin) // until the test closes it
		muster.Ready()
	}()
	return serve(muster.Options{ManualReady: true})
}

func serveTLS() error {
	s := httptest.NewUnstartedServer(nil)
	s.EnableHTTP2 = true
	s.StartTLS()
	cert := s.TLS.Certificates[0]
	s.Close()
	srv := newServer(handler())
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	return muster.ServeTLS(srv, "", "")
}

// serveTwo serves on the operator's address and on one of its own.
func serveTwo() error {
	second := make(chan error, 1)
	go func() {
		second <- muster.Serve(&http.Server{Addr: os.Getenv("ADDR2"), Handler: handler(), BaseContext: sayAddress})
	}()
	return errors.Join(muster.Serve(newServer(handler())), <-second)
}

func listenOnly() error {
	l, err := muster.Listen("tcp", addr())
	if err != nil {
		return err
	}
	fmt.Println("address", l.Addr())
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			<-muster.Draining()
			return l.Close()
		}
		if err != nil {
			return err
		}
		io.WriteString(c, "hello\n")
		c.Close()
	}
}

func packet() error {
	p, err := muster.ListenPacket("udp", addr())
	if err != nil {
		return err
	}
	fmt.Println("address", p.LocalAddr())
	b := make([]byte, 100)
	n, from, err := p.ReadFrom(b)
	if err != nil {
		return err
	}
	_, err = p.WriteTo(b[:n], from)
	return err
}

func info() error {
	fmt.Printf("%+v\n", muster.Worker())
	for _, name := range []string{"NODE_CHANNEL_FD", "NODE_UNIQUE_ID", "LISTEN_FDS", "LISTEN_PIDFDID", "NOTIFY_SOCKET", "MUSTER_LISTEN", "MUSTER_APP"} {
		fmt.Printf("%s=%q\n", name, os.Getenv(name))
	}
	line, err := os.ReadFile("/proc/self/cmdline")
	fmt.Printf("cmdline %q\n", line)
	fmt.Printf("args %q\n", os.Args)
	comm, _ := os.ReadFile("/proc/self/comm")
	fmt.Printf("comm %q\n", comm)
	return err
}

// handler serves the paths that the tests ask for.
func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "pid: %d\n", os.Getpid()) })
	mux.HandleFunc("/hold", hold)
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("boom") })
	mux.HandleFunc("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/halfpanic", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "half")
		panic("boom after half")
	})
	mux.HandleFunc("/gopanic", func(http.ResponseWriter, *http.Request) { muster.Go(func() { panic("boom in goroutine") }) })
	mux.HandleFunc("/dying", func(http.ResponseWriter, *http.Request) { muster.Dying(errors.New("database is gone")) })
	mux.HandleFunc("/hijack", hijack)
	mux.HandleFunc("/abilities", abilities)
	return mux
}

// hold answers when the body ends.
func hold(w http.ResponseWriter, r *http.Request) {
	fmt.Println("holding")
	if n, err := io.Copy(io.Discard, r.Body); err != nil {
		panic(fmt.Sprintf("body ended after %d bytes: %v", n, err))
	}
	fmt.Fprintln(w, "held")
}

// hijack echoes until the other side closes.
func hijack(w http.ResponseWriter, _ *http.Request) {
	c, buf, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
	fmt.Println("hijacked")
	io.Copy(c, buf)
}

// abilities lists what the response writer can do.
func abilities(w http.ResponseWriter, _ *http.Request) {
	_, flush := w.(http.Flusher)
	_, hijack := w.(http.Hijacker)
	_, push := w.(http.Pusher)
	_, from := w.(io.ReaderFrom)
	_, text := w.(io.StringWriter)
	deadline := http.NewResponseController(w).SetReadDeadline(time.Time{}) == nil
	fmt.Fprintf(w, "flush %v hijack %v push %v from %v string %v deadline %v", flush, hijack, push, from, text, deadline)
}
