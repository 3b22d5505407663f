package muster

import (
	"net"
	"net/http"
	"time"
)

// DefaultShutdownTimeout is how long a drain may take if nobody else bounds it.
const DefaultShutdownTimeout = 30 * time.Second

// Options tune a worker. The zero value is what the package-level functions use.
type Options struct {
	// ShutdownTimeout bounds the drain where no master does: in a process without one, and in a dying worker.
	// Zero means DefaultShutdownTimeout. A drain that the master asked for is bounded by the master's patience alone.
	ShutdownTimeout time.Duration

	// KeepOnPanic keeps the process after a panic in a handler, as net/http does by itself.
	// By default such a panic ends a worker whose listening socket outlives it.
	KeepOnPanic bool

	// ManualReady holds the worker back until the program calls Ready: it takes no connection and does not say that it serves.
	ManualReady bool
}

// ListenAndServe serves h on addr until the worker has drained; then it returns nil.
// A nil h means http.DefaultServeMux. Other errors are those of Listen and of the accept loop.
func ListenAndServe(addr string, h http.Handler) error {
	return Options{}.ListenAndServe(addr, h)
}

// Serve runs srv on srv.Addr until the worker has drained; then it returns nil. It wraps srv.Handler and srv.ConnState,
// so srv must not be serving already. If the program itself calls srv.Shutdown or srv.Close, Serve returns http.ErrServerClosed.
//
// Connections taken over from the server (hijacked) count as open until they are closed: their handlers should watch Draining.
func Serve(srv *http.Server) error {
	return Options{}.Serve(srv)
}

// ServeTLS is Serve with TLS: the files are those of http.Server.ServeTLS and may be empty if srv.TLSConfig has certificates.
func ServeTLS(srv *http.Server, certFile, keyFile string) error {
	return Options{}.ServeTLS(srv, certFile, keyFile)
}

// Listen returns a listener on which any server can accept; network is "tcp", "tcp4", "tcp6" or "unix".
// It gives connections that this process accepts and connections that the master hands over.
//
// When the worker drains, Accept returns what was already taken and then an error that wraps net.ErrClosed; the server
// should finish its connections and main should return. The caller closes the listener.
// Under a master that has not decided yet (a spare worker) Listen waits; if the worker has to drain meanwhile it returns ErrDraining.
func Listen(network, addr string) (net.Listener, error) {
	return Options{}.Listen(network, addr)
}

// ListenPacket returns a bound UDP socket; network is "udp", "udp4" or "udp6". The caller closes it.
// Every worker of the app reads from the same socket, or from its own one on the same address.
func ListenPacket(network, addr string) (net.PacketConn, error) {
	return Options{}.ListenPacket(network, addr)
}

// ListenAndServe is like the function of that name, with these options.
func (o Options) ListenAndServe(addr string, h http.Handler) error {
	return o.Serve(&http.Server{Addr: addr, Handler: h})
}

// Serve is like the function of that name, with these options.
func (o Options) Serve(srv *http.Server) error {
	return o.serve(srv, srv.Serve)
}

// ServeTLS is like the function of that name, with these options.
func (o Options) ServeTLS(srv *http.Server, certFile, keyFile string) error {
	return o.serve(srv, func(l net.Listener) error { return srv.ServeTLS(l, certFile, keyFile) })
}

// Listen is like the function of that name, with these options.
func (o Options) Listen(network, addr string) (net.Listener, error) {
	l, err := self().listen(o, network, addr)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// ListenPacket is like the function of that name, with these options.
func (o Options) ListenPacket(network, addr string) (net.PacketConn, error) {
	return self().listenPacket(o, network, addr)
}

func (o Options) shutdownTimeout() time.Duration {
	if o.ShutdownTimeout > 0 {
		return o.ShutdownTimeout
	}
	return DefaultShutdownTimeout
}

// Worker says what this process is. It is the cheapest way to make the first use of the package.
func Worker() Info { return self().info }

// Ready says that the worker serves. With ManualReady it is what lets the worker take connections; without it, the worker
// says so by itself and Ready is only needed by programs that do not listen. On Node's channel the message is "ready".
// The first call counts.
func Ready() { self().becomeReady(true) }

// Draining returns a channel that is closed when the worker begins to drain.
func Draining() <-chan struct{} { return self().draining }

// Dying says that this process cannot go on, for the reason err: the master starts a replacement at once, this worker
// stops accepting and finishes what it has, and the process exits 1 when the Serve functions are done or after
// ShutdownTimeout. Dying returns immediately. The first call counts.
func Dying(err error) { self().die(err, nil) }

// Alive has f called before each sign of life that the worker gives its master: before it answers a ping, and before each WATCHDOG=1. A worker
// whose f does not return is hung after the master's hang timeout. Let f do in short what every request needs, as taking the lock that they all take.
//
// Without any f, a worker is alive as long as its program takes the connections that come.
func Alive(f func()) { self().vital.add(f) }

// Go runs f in a goroutine of its own. A panic in f does not end the process abruptly, as it would after a plain
// go statement: the worker is dying, see Dying.
func Go(f func()) {
	w := self()
	go func() {
		defer w.dieOnPanic()
		f()
	}()
}
