package muster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
)

// handler stands around the handler of the program: it ends connections of a draining worker, and the worker on a panic.
type handler struct {
	w    *worker
	next http.Handler
	dies bool // a panic ends the worker
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	served, rw := wrapWriter(w, h.w)
	if h.dies {
		defer h.caught(rw, r)
	}
	h.next.ServeHTTP(served, r)
	rw.begin() // a handler that wrote nothing leaves the response to net/http
}

// caught announces the death of the worker before the response ends, so that the master hears of it first. A response
// that has begun cannot be completed: the connection is cut, as net/http does.
func (h *handler) caught(rw *responseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	h.w.die(fmt.Errorf("panic serving %s %s for %s: %v", r.Method, r.URL.Path, r.RemoteAddr, v), debug.Stack())
	if rw.begun {
		panic(http.ErrAbortHandler)
	}
	http.Error(rw, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
}

// responseWriter knows whether the response has begun, and tells the client to close if the worker drains by then.
type responseWriter struct {
	http.ResponseWriter
	w     *worker
	begun bool
}

// begin is called before the header is final.
func (w *responseWriter) begin() {
	if w.begun {
		return
	}
	w.begun = true
	if w.w.isDraining() {
		w.Header().Set("Connection", "close") // over HTTP/2 net/http makes it a GOAWAY
	}
}

func (w *responseWriter) WriteHeader(code int) {
	if code >= http.StatusOK || code == http.StatusSwitchingProtocols {
		w.begin()
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *responseWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

func (w *responseWriter) WriteString(s string) (int, error) {
	w.begin()
	return io.WriteString(w.ResponseWriter, s)
}

func (w *responseWriter) Flush() { _ = w.FlushError() }

func (w *responseWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// closeNotifier is what http.CloseNotifier was before it was deprecated; frameworks still ask for it.
type closeNotifier interface{ CloseNotify() <-chan bool }

// CloseNotify is for frameworks that stream. Every writer of net/http has it.
func (w *responseWriter) CloseNotify() <-chan bool {
	return w.ResponseWriter.(closeNotifier).CloseNotify()
}

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// wrapWriter returns a writer with the abilities of the one it wraps, no more and no less, and what both share.
func wrapWriter(w http.ResponseWriter, worker *worker) (http.ResponseWriter, *responseWriter) {
	shared := responseWriter{ResponseWriter: w, w: worker}
	if h, ok := w.(http.Hijacker); ok {
		rw := &writer1{shared, h}
		return rw, &rw.responseWriter
	}
	if p, ok := w.(http.Pusher); ok {
		rw := &writer2{shared, p}
		return rw, &rw.responseWriter
	}
	return &shared, &shared
}

// writer1 is the writer of an HTTP/1 response.
type writer1 struct {
	responseWriter
	hijacker http.Hijacker
}

// ReadFrom lets the kernel copy files.
func (w *writer1) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	return io.Copy(w.ResponseWriter, r)
}

func (w *writer1) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, buf, err := w.hijacker.Hijack()
	w.begun = w.begun || err == nil
	return c, buf, err
}

// writer2 is the writer of an HTTP/2 response.
type writer2 struct {
	responseWriter
	http.Pusher
}
