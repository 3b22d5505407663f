package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster"
	"github.com/musterd/muster/internal/demo"
)

// Variables of a process of this program that is a worker which serves HTTP.
const (
	serveOn    = "BENCH_SERVE_ON"    // its address
	serveShare = "BENCH_SERVE_SHARE" // whether it opens the address itself, with SO_REUSEPORT, without the SDK
)

// goWorker is for Go what js/app.js is for Node.
func goWorker(addr string) error {
	mux := http.NewServeMux()
	mux.Handle("/", demo.Handler())
	mux.HandleFunc("GET /work", compute)
	if os.Getenv(serveShare) == "" {
		return muster.ListenAndServe(addr, mux)
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		if err != nil {
			return err
		}
		return failed
	}}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	err = http.Serve(l, mux)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// compute keeps one processor busy.
func compute(w http.ResponseWriter, r *http.Request) {
	ms, _ := strconv.ParseFloat(r.URL.Query().Get("ms"), 64)
	for end := time.Now().Add(time.Duration(ms * float64(time.Millisecond))); time.Now().Before(end); {
	}
	_, _ = fmt.Fprintf(w, "hello from pid: %d\n", os.Getpid())
}
