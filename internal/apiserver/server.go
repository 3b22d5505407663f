package apiserver

import (
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server is an http.Server that ends without leaving a request unanswered whose connection it has accepted. The Shutdown of net/http drops
// one that it reads after Shutdown began; but whoever is not accepted can wait in the queue of the socket for the next server.
type Server struct {
	http     http.Server
	listener net.Listener
	halting  atomic.Bool
	accepts  chan struct{}  // closed when no connection is accepted any more
	open     sync.WaitGroup // connections
}

// Bounds of a request.
const (
	headerTimeout = 10 * time.Second
	maxHeader     = 64 << 10 // bytes
)

// New makes a server of a listener, which it will close.
func New(l net.Listener, h http.Handler, errors *log.Logger) *Server {
	s := &Server{listener: l, accepts: make(chan struct{})}
	s.http = http.Server{
		Handler:           h,
		ConnContext:       askPeer,
		ConnState:         s.count,
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          errors,
	}
	return s
}

// Run serves until Halt, or until the listener fails.
func (s *Server) Run() error {
	defer close(s.accepts)
	if err := s.http.Serve(s.listener); !s.halting.Load() {
		return err
	}
	return nil
}

func (s *Server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.open.Done()
	case http.StateActive, http.StateIdle:
	}
}

// Halt accepts no more, answers whoever was accepted, waits until they have gone, but no longer than d, and closes what is left.
func (s *Server) Halt(d time.Duration) {
	s.halting.Store(true)
	_ = s.listener.Close()
	<-s.accepts
	s.http.SetKeepAlivesEnabled(false)
	gone := make(chan struct{})
	go func() { // ends with the last connection, at the latest at Close
		s.open.Wait()
		close(gone)
	}()
	bound := time.NewTimer(d)
	defer bound.Stop()
	select {
	case <-gone:
	case <-bound.C:
	}
	_ = s.http.Close()
}
