package apiserver

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
)

// announcing tells when it has accepted a connection, and when it is closed.
type announcing struct {
	net.Listener
	accepted, closed chan struct{}
	once             sync.Once
}

func (l *announcing) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted <- struct{}{}
	}
	return c, err
}

func (l *announcing) Close() error {
	err := l.Listener.Close()
	l.once.Do(func() { close(l.closed) }) // the server and its halt may both close it
	return err
}

// A request whose connection was accepted before the halt is answered although it comes after its begin; an idle connection holds nobody up.
func TestHaltAnswersWhoWasAccepted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(testutil.TempDir(t), "s")
	inner, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l := &announcing{Listener: inner, accepted: make(chan struct{}, 2), closed: make(chan struct{})}
	s := New(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "heard") }), log.New(io.Discard, "", 0))
	ran := make(chan error, 1)
	go func() { ran <- s.Run() }() // ends when the server is halted
	ask := func(c net.Conn) string {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err.Error()
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	dial := func() net.Conn {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		<-l.accepted
		return c
	}
	idle, late := dial(), dial()
	if got := ask(idle); got != "heard" {
		t.Errorf("before the halt: %s", got)
	}
	halted := make(chan struct{})
	go func() { // ends when both connections are gone
		s.Halt(time.Hour)
		close(halted)
	}()
	<-l.closed
	if got := ask(late); got != "heard" {
		t.Errorf("during the halt: %s", got)
	}
	<-halted
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
