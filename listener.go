package muster

import (
	"net"
	"sync"
	"time"
)

const (
	maxHanded  = 128                   // connections from the master that wait for Accept; more are refused
	emptyQueue = 10 * time.Millisecond // how long a socket that nobody else holds goes on accepting when it stops
	abandoned  = 5 * time.Second       // how long a stopped listener waits for Accept to take what it has
)

// acceptor is the listener of one socket.
type acceptor interface {
	net.Listener
	SetDeadline(time.Time) error
}

// socket is one source of connections. One that is ours alone has a queue that nobody else would serve.
type socket struct {
	acceptor
	alone bool
}

// stop ends Accept, at once or after what waits in a queue that is ours alone. It never shuts the socket down: that
// would end it for all who hold it.
func (s socket) stop() {
	if s.alone {
		_ = s.SetDeadline(time.Now().Add(emptyQueue))
		return
	}
	_ = s.Close()
}

// handover is a connection that the master gives us.
type handover struct {
	conn  net.Conn
	taken func(bool) // says what became of it; may be nil
}

func (h handover) answer(taken bool) {
	if h.taken != nil {
		h.taken(taken)
	}
	if !taken {
		h.conn.Close()
	}
}

type arrival struct {
	conn net.Conn
	err  error
}

// listener merges the connections of any number of sockets with those that the master hands over.
//
// A connection is taken from a socket's queue only while somebody waits in Accept: what this process cannot serve, another can.
// When the listener stops, what was taken is still returned by Accept; after that it fails with net.ErrClosed.
type listener struct {
	w       *worker
	manual  bool
	serving sync.Once
	handed  chan handover
	arrived chan arrival  // from the pumps, unbuffered
	done    chan struct{} // closed when the listener has stopped and its pumps have ended
	pumps   sync.WaitGroup

	mu        sync.Mutex
	cond      *sync.Cond // waiting or stopped changed
	waiting   int        // calls of Accept under way
	calls     uint64     // of Accept so far
	seen      uint64     // calls, when somebody last asked whether the program accepts
	stopped   bool
	stopping  chan struct{} // closed with stopped
	sockets   []socket      // owned
	addrs     []net.Addr
	onServing []func()
	onStopped []func()
}

func newListener(w *worker, o Options) *listener {
	l := &listener{
		w: w, manual: o.ManualReady,
		handed: make(chan handover, maxHanded), arrived: make(chan arrival),
		done: make(chan struct{}), stopping: make(chan struct{}),
	}
	l.cond = sync.NewCond(&l.mu)
	return l
}

// addFD adds a socket that others hold too, and takes over its descriptor, also on error.
func (l *listener) addFD(fd int) error {
	if err := startListening(fd); err != nil {
		closeFD(fd)
		return err
	}
	a, err := fileListener(fd)
	if err != nil {
		return err
	}
	l.add(socket{a, false})
	return nil
}

// add takes over s.
func (l *listener) add(s socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		s.Close()
		return
	}
	l.sockets = append(l.sockets, s)
	l.addrs = append(l.addrs, s.Addr())
	l.pumps.Go(func() { l.pump(s) })
}

// addAddr adds an address from which connections come by the master only.
func (l *listener) addAddr(a net.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addrs = append(l.addrs, a)
}

// last returns the address added last.
func (l *listener) last() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addrs[len(l.addrs)-1]
}

func (l *listener) whenServing(f func()) { l.onServing = append(l.onServing, f) }
func (l *listener) whenStopped(f func()) { l.onStopped = append(l.onStopped, f) }

// pump ends when the listener stops.
func (l *listener) pump(s socket) {
	defer s.Close()
	for l.wanted(s.alone) {
		c, err := s.Accept()
		if err != nil && l.isStopped() {
			return
		}
		l.deliver(arrival{c, err})
	}
}

// wanted waits until somebody waits in Accept.
func (l *listener) wanted(alone bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.waiting == 0 && !l.stopped {
		l.cond.Wait()
	}
	return !l.stopped || alone
}

// deliver gives a to Accept. If the listener is stopped and nobody calls Accept any more, the connection is closed in the end.
func (l *listener) deliver(a arrival) {
	select {
	case l.arrived <- a:
		return
	case <-l.stopping:
	}
	t := time.NewTimer(abandoned)
	defer t.Stop()
	select {
	case l.arrived <- a:
	case <-t.C:
		if a.conn != nil {
			a.conn.Close()
		}
	}
}

// Accept waits for the next connection. The first call is the moment from which the worker serves.
func (l *listener) Accept() (net.Conn, error) {
	l.serving.Do(l.begin)
	l.count(+1)
	defer l.count(-1)
	select {
	case h := <-l.handed:
		return l.take(h)
	case a := <-l.arrived:
		if a.err == nil {
			l.w.accepted()
		}
		return a.conn, a.err
	case <-l.done:
	}
	select {
	case h := <-l.handed:
		return l.take(h)
	default:
		return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// begin says that the worker serves, once it is ready.
func (l *listener) begin() {
	if !l.w.awaitReady(l.manual, l.stopping) {
		return
	}
	for _, f := range l.onServing {
		f()
	}
	if !l.manual {
		l.w.becomeReady(false)
	}
}

func (l *listener) count(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting += n
	if n > 0 {
		l.calls++
		l.cond.Broadcast()
	}
}

func (l *listener) take(h handover) (net.Conn, error) {
	h.answer(true)
	l.w.accepted()
	return h.conn, nil
}

// offer gives h to Accept, unless the listener has stopped or too many wait already; then h is still the caller's.
func (l *listener) offer(h handover) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	select {
	case l.handed <- h:
		return true
	default:
		return false
	}
}

// put gives h to Accept and waits for room; a stopped listener closes the connection.
func (l *listener) put(h handover) {
	for !l.offer(h) {
		select {
		case l.handed <- h:
			return
		case <-l.stopping:
			h.answer(false)
			return
		}
	}
}

func (l *listener) isStopped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped
}

// Addr returns the first address, or a placeholder if all connections come by the master and it names none.
func (l *listener) Addr() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.addrs) == 0 {
		return &net.UnixAddr{Net: "unix"}
	}
	return l.addrs[0]
}

// Close stops the listener: the sockets themselves stay open at the master.
func (l *listener) Close() error {
	l.stop()
	return nil
}

func (l *listener) stop() {
	if !l.markStopped() {
		return
	}
	for _, s := range l.sockets {
		s.stop()
	}
	for _, f := range l.onStopped {
		f()
	}
	l.w.forget(l)
	go l.finish()
}

func (l *listener) markStopped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	l.stopped = true
	close(l.stopping)
	l.cond.Broadcast()
	return true
}

// finish ends when the pumps have and Accept has had its time to take what the master handed over.
func (l *listener) finish() {
	l.pumps.Wait()
	close(l.done)
	time.AfterFunc(abandoned, l.refuseRest)
}

func (l *listener) refuseRest() {
	for {
		select {
		case h := <-l.handed:
			h.answer(false)
		default:
			return
		}
	}
}
