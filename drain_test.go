package muster_test

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// Every connection that the worker has accepted gets an answer to its request.
func TestDrainAnswersWhatItAccepted(t *testing.T) {
	t.Parallel()
	l, addr := listenTCP(t)
	p := inherit(t, "http", []*os.File{l})
	p.address()
	fresh, half, idle := dial(t, addr), dial(t, addr), dial(t, addr)
	idle.send(getRequest)
	idle.answered(200) // the three were accepted in order
	half.send("GET / HT")
	h := holdRequest(t, p, client(t), addr)
	p.signal(syscall.SIGTERM)
	untilClose(idle)
	fresh.send(getRequest)
	fresh.answered(200)
	half.send("TP/1.1\r\nHost: x\r\n\r\n")
	half.answered(200)
	for _, c := range []*rawConn{fresh, half, idle} {
		c.ends()
	}
	if resp := h.release(); !resp.Close {
		t.Error("response of a request from before keeps the connection")
	}
	p.line("^returned <nil>$")
	p.exits(0)
}

// untilClose asks as fast as it can until a response says that the connection ends. No request is lost on the way.
func untilClose(c *rawConn) {
	c.t.Helper()
	for {
		c.send(getRequest)
		if c.answered(200).Close {
			return
		}
	}
}

func TestDrainGivesUpOnSilence(t *testing.T) {
	t.Parallel()
	l, addr := listenTCP(t)
	p := inherit(t, "http", []*os.File{l})
	p.address()
	silent, half, probe := dial(t, addr), dial(t, addr), dial(t, addr)
	half.send("GET / HT")
	probe.send(getRequest)
	probe.answered(200)
	begin := time.Now()
	p.signal(syscall.SIGTERM)
	probe.ends()
	silent.ends()
	half.ends()
	p.exits(0)
	if took := time.Since(begin); took < 2*time.Second {
		t.Errorf("connections without a request were closed after %v", took)
	}
}

func TestDrainWaitsForHijacked(t *testing.T) {
	t.Parallel()
	l, addr := listenTCP(t)
	p := inherit(t, "http", []*os.File{l})
	p.address()
	c, idle := dial(t, addr), dial(t, addr)
	c.send("GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n")
	p.line("^hijacked$")
	idle.send(getRequest)
	idle.answered(200)
	p.signal(syscall.SIGTERM)
	idle.ends()
	c.send("still here\n")
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "still here\n" {
			break
		}
	}
	c.Close()
	p.line("^returned <nil>$")
	p.exits(0)
}

// Workers leave in the middle of load while another one serves the same queue; no client notices.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	for name, fresh := range map[string]bool{"keep-alive": false, "new connections": true} {
		t.Run(name, func(t *testing.T) {
			l, addr := listenTCP(t)
			workers := []*proc{inherit(t, "http", []*os.File{l}), inherit(t, "http", []*os.File{l})}
			for _, p := range workers {
				p.address()
			}
			finish := loadUntil(t, load.Options{Addr: addr, Clients: 16, NewConnPerRequest: fresh, NoRetry: true})
			for range 4 {
				get(t, addr, "/") // the load runs
				replace(t, workers, l)
			}
			r := finish()
			if r.Failed() > 0 || r.OK == 0 {
				t.Errorf("%d of %d requests failed: %+v", r.Failed(), r.Requests, r.Failures)
			}
			t.Logf("%d requests on %d connections by %d workers", r.Requests, r.Connections, len(r.ByPID))
		})
	}
}

// loadUntil puts load on until the returned function is called.
func loadUntil(t *testing.T, o load.Options) (finish func() *load.Result) {
	t.Helper()
	o.Duration = time.Hour
	ctx, cancel := context.WithCancel(testutil.Context(t))
	results := make(chan *load.Result, 1)
	go func() {
		r, err := load.Run(ctx, o)
		if err != nil {
			t.Error(err)
		}
		results <- r
	}()
	return func() *load.Result {
		cancel()
		return <-results
	}
}

// replace starts a successor of the first worker and drains it while the others serve.
func replace(t *testing.T, workers []*proc, l *os.File) {
	t.Helper()
	next := inherit(t, "http", []*os.File{l})
	next.address()
	old := workers[0]
	copy(workers, workers[1:])
	workers[len(workers)-1] = next
	old.signal(syscall.SIGTERM)
	old.line("^returned <nil>$")
	old.exits(0)
}
