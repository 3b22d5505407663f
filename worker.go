package muster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"
)

// ErrDraining is returned by Listen if the worker has to drain before it got its sockets.
// The Serve functions return nil then.
var ErrDraining = errors.New("muster: worker is draining")

// orphanPatience is how long a worker may finish its requests when its master has died.
const orphanPatience = 2 * time.Second

// source is where sockets come from.
type source interface {
	// listen returns a listener for addrs; it is not registered with the worker yet.
	listen(o Options, addrs []address) (*listener, error)
	listenPacket(a address) (net.PacketConn, error)
	ready()
	dying()
	leave() // the worker has finished
}

// worker is this process.
type worker struct {
	info   Info
	err    error // why it cannot work; returned by every attempt to listen
	source source
	notify *notifier // never nil
	count  *counter  // never nil
	vital  vitality
	ppid   int

	survives bool // the listening sockets outlive the process

	draining  chan struct{} // closed by drain
	drainOnce sync.Once
	readyOnce sync.Once
	isReady   chan struct{} // closed by becomeReady
	dieOnce   sync.Once
	leaveOnce sync.Once
	signals   sync.Once
	finished  chan struct{} // closed when the worker drains and no Serve call is left

	mu        sync.Mutex
	streams   []address // the operator's addresses that no Listen call has taken
	packets   []address // likewise for ListenPacket
	listened  bool      // there was a Listen call
	manual    bool      // only the program says when the worker is ready
	patience  time.Duration
	stopped   bool // no listener may be added
	listeners map[*listener]struct{}
	serving   int  // Serve calls
	dead      bool // die was called: the exit code is 1
	left      bool // leave was called: the end of the channel is our own doing
}

// self returns this process as a worker; the first call reads the environment.
var self = sync.OnceValue(func() *worker { return newWorker(takeEnvironment()) })

func newWorker(env environment) *worker {
	w := &worker{
		info: readInfo(env), notify: newNotifier(env), count: newCounter(env.maxRequests), ppid: os.Getppid(),
		draining: make(chan struct{}), isReady: make(chan struct{}), finished: make(chan struct{}),
		listeners: make(map[*listener]struct{}),
		streams:   parseAddresses(env.addresses, false), packets: parseAddresses(env.addresses, true), patience: DefaultShutdownTimeout,
	}
	w.connect(env)
	w.info.Managed = w.survives || w.err != nil || w.notify.path != ""
	if w.info.Managed && w.info.App != "" {
		setTitle("muster: worker " + w.info.App + "/" + w.info.seat())
	}
	w.notify.watch(func() { w.awaitAlive(false) })
	return w
}

// connect finds the source of sockets.
func (w *worker) connect(env environment) {
	fds := takeInherited(env)
	if env.channelFD == "" {
		w.source, w.survives = &local{w: w, inherited: fds}, len(fds) > 0
		return
	}
	n, err := openNode(w, env)
	if err != nil {
		w.source, w.err = &local{w: w}, err
		return
	}
	w.source, w.survives = n, true
	n.start()
}

// seat names the slot in the title of the process.
func (i Info) seat() string {
	if i.Slot < 0 {
		return "spare"
	}
	return fmt.Sprint(i.Slot)
}

func (w *worker) listen(o Options, network, addr string) (*listener, error) {
	if w.err != nil {
		return nil, w.err
	}
	w.prepare(o)
	l, err := w.source.listen(o, w.streamAddresses(network, addr))
	if err != nil {
		return nil, err
	}
	if !w.register(l) {
		l.stop()
		return nil, ErrDraining
	}
	return l, nil
}

func (w *worker) listenPacket(o Options, network, addr string) (net.PacketConn, error) {
	if w.err != nil {
		return nil, w.err
	}
	w.prepare(o)
	p, err := w.source.listenPacket(w.packetAddress(network, addr))
	if err != nil {
		return nil, err
	}
	w.becomeReady(false)
	return p, nil
}

// prepare makes the process one that listens: from now on signals drain it.
func (w *worker) prepare(o Options) {
	w.mu.Lock()
	w.manual = w.manual || o.ManualReady
	w.patience = o.shutdownTimeout()
	w.mu.Unlock()
	w.signals.Do(w.watchSignals)
}

// watchSignals drains the worker on SIGTERM and SIGINT. Under a master further ones change nothing, because its last
// word is SIGKILL; on its own the process ends at the second.
func (w *worker) watchSignals() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-c
		if !w.info.Managed {
			signal.Stop(c)
		}
		w.drain()
	}()
}

// streamAddresses returns what the next Listen call is about: the operator's address that is the program's too, else,
// in the first call, all that the operator named, else the program's.
func (w *worker) streamAddresses(network, addr string) []address {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := !w.listened
	w.listened = true
	own := address{network, addr}
	if i := indexAddress(w.streams, own); i >= 0 {
		w.streams = slices.Delete(w.streams, i, i+1)
		return []address{own}
	}
	if given := w.streams; first && len(given) > 0 {
		w.streams = nil
		return given
	}
	if addr == "" && network != "unix" {
		own.addr = defaultAddress()
	}
	return []address{own}
}

func (w *worker) packetAddress(network, addr string) address {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.packets) == 0 {
		return address{network, addr}
	}
	given := w.packets[0]
	w.packets = w.packets[1:]
	return given
}

func (w *worker) register(l *listener) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		w.listeners[l] = struct{}{}
	}
	return !w.stopped
}

func (w *worker) forget(l *listener) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.listeners, l)
}

// awaitReady waits until the worker may serve; it reports false if stop came first.
func (w *worker) awaitReady(manual bool, stop <-chan struct{}) bool {
	if !manual {
		return true
	}
	select {
	case <-w.isReady:
		return true
	case <-stop:
		return false
	}
}

// becomeReady says that the worker serves, the first time; byProgram tells Ready from what we notice ourselves.
func (w *worker) becomeReady(byProgram bool) {
	w.mu.Lock()
	wait := w.manual && !byProgram
	w.mu.Unlock()
	if wait {
		return
	}
	w.readyOnce.Do(func() {
		close(w.isReady)
		w.notify.send("READY=1")
		if byProgram || w.info.App != "" {
			w.source.ready() // a foreign master hears "ready" only if the program wants to say it
		}
	})
}

// drain stops all listeners. It returns at once; the Serve functions do the rest.
func (w *worker) drain() {
	w.drainOnce.Do(func() {
		w.notify.send("STOPPING=1")
		listeners := w.stopListening() // before anybody sees that we drain
		close(w.draining)
		for _, l := range listeners {
			l.stop()
		}
	})
}

// stopListening returns the listeners there are; there will be no more.
func (w *worker) stopListening() []*listener {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	var all []*listener
	for l := range w.listeners {
		all = append(all, l)
	}
	return all
}

func (w *worker) isDraining() bool {
	select {
	case <-w.draining:
		return true
	default:
		return false
	}
}

// masterGone drains the worker because its channel ended, and bounds that: nobody is left who would kill it.
// A master that only closed the channel still lives, and then the requests have more time.
func (w *worker) masterGone() {
	w.mu.Lock()
	left := w.left
	w.mu.Unlock()
	if left {
		return
	}
	w.drain()
	time.AfterFunc(orphanPatience, func() {
		if os.Getppid() != w.ppid {
			w.exit(0)
		}
	})
	time.AfterFunc(w.limit(), func() { w.exit(0) })
}

func (w *worker) limit() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.patience
}

// die announces the death of the worker before anything else, so that its replacement starts now.
func (w *worker) die(reason error, stack []byte) {
	w.dieOnce.Do(func() {
		w.mu.Lock()
		w.dead = true
		w.mu.Unlock()
		w.source.dying()
		fmt.Fprintf(os.Stderr, "muster: worker is dying: %v\n%s", reason, stack)
		time.AfterFunc(w.limit(), func() { w.exit(1) })
		w.drain()
	})
}

// dieOnPanic is deferred in goroutines whose panic ends the worker.
func (w *worker) dieOnPanic() {
	if v := recover(); v != nil {
		w.die(fmt.Errorf("panic: %v", v), debug.Stack())
	}
}

// enter counts a Serve call; leave ends it.
func (w *worker) enter() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serving++
}

// exitServe ends a Serve call that did not drain.
func (w *worker) exitServe() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.serving--; w.serving == 0 && w.stopped && !w.left {
		w.left = true
		close(w.finished)
	}
}

// leave ends a Serve call that has drained: it waits for all others and ends the conversation with the master.
// A dying worker ends here.
func (w *worker) leave() {
	w.exitServe()
	<-w.finished
	w.leaveOnce.Do(w.source.leave)
	if w.isDead() {
		w.exit(1)
	}
}

func (w *worker) isDead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead
}

// exit ends the process with code, or with 1 if it is dying.
func (w *worker) exit(code int) {
	if w.isDead() {
		code = 1
	}
	os.Exit(code)
}
