package muster

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// server is one http.Server while it serves for the worker.
type server struct {
	w     *worker
	o     Options
	srv   *http.Server
	conns *conns
}

// serve runs srv by run, which is srv.Serve or srv.ServeTLS.
func (o Options) serve(srv *http.Server, run func(net.Listener) error) error {
	w := self()
	w.enter()
	l, err := w.listen(o, "tcp", srv.Addr)
	if errors.Is(err, ErrDraining) {
		w.leave()
		return nil
	}
	if err != nil {
		w.exitServe()
		return err
	}
	s := &server{w: w, o: o, srv: srv, conns: newConns()}
	s.wrap()
	err = run(trackingListener{l, s.conns})
	l.Close()
	if !w.isDraining() {
		w.exitServe()
		return err
	}
	s.drain()
	w.leave()
	return nil
}

// wrap puts our handler around that of srv and our hook behind its own.
func (s *server) wrap() {
	next := s.srv.Handler
	if next == nil {
		next = http.DefaultServeMux
	}
	s.srv.Handler = &handler{w: s.w, next: next, dies: s.w.survives && !s.o.KeepOnPanic}
	hook := s.srv.ConnState
	s.srv.ConnState = func(c net.Conn, state http.ConnState) {
		s.conns.setState(c, state)
		if hook != nil {
			hook(c, state)
		}
	}
}

// drain returns when every connection is closed. The accept loop has returned before, so there will be no more.
func (s *server) drain() {
	ctx, cancel := s.bound()
	defer cancel()
	for _, step := range []func(context.Context) error{s.conns.drain, s.srv.Shutdown, s.conns.drainHijacked} {
		if step(ctx) != nil {
			s.srv.Close()
			s.conns.closeAll()
			return
		}
	}
}

// bound is how long a drain may take: a master has its own idea of that.
func (s *server) bound() (context.Context, context.CancelFunc) {
	if s.w.info.Managed {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), s.o.shutdownTimeout())
}

// trackingListener makes every accepted connection known to a drain.
type trackingListener struct {
	*listener
	conns *conns
}

func (l trackingListener) Accept() (net.Conn, error) {
	c, err := l.listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.conns.track(c), nil
}
