package pulse

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Watcher looks at queues on a goroutine and a thread of its own. Its methods may be called from any goroutine but that of the reports.
type Watcher struct {
	report   func(Report)
	epoll    int
	wakeup   int // eventfd
	finished chan struct{}

	mu      sync.Mutex
	entries map[Key]*entry
	byFD    map[int32]*entry
	closed  bool
}

// New starts a watcher. It calls report from its own goroutine; while report blocks, nothing is looked at.
func New(report func(Report)) (*Watcher, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch queues: %w", err)
	}
	wakeup, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("watch queues: %w", err)
	}
	w := &Watcher{
		report: report, epoll: epoll, wakeup: wakeup, finished: make(chan struct{}),
		entries: map[Key]*entry{}, byFD: map[int32]*entry{},
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wakeup)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wakeup, &event); err != nil {
		w.release()
		return nil, fmt.Errorf("watch queues: %w", err)
	}
	go w.run() // ends by Close
	return w, nil
}

// Add watches a queue, which must stay open until Remove or Close. It is urgent at first.
func (w *Watcher) Add(key Key, q Queue) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &entry{key: key, queue: q, urgent: true}
	if err := w.arm(unix.EPOLL_CTL_ADD, e); err != nil {
		return fmt.Errorf("watch queue: %w", err)
	}
	w.entries[key], w.byFD[int32(q.FD())] = e, e
	return nil
}

// Remove forgets a queue.
func (w *Watcher) Remove(key Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.entries[key]
	if e == nil {
		return
	}
	delete(w.entries, key)
	delete(w.byFD, int32(e.queue.FD()))
	_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, e.queue.FD(), nil)
}

// arm asks for one event when the queue is not empty.
func (w *Watcher) arm(op int, e *entry) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(e.queue.FD())}
	return unix.EpollCtl(w.epoll, op, e.queue.FD(), &event)
}

// Urgent says whether nobody serves the queue. One that was urgent has a fresh start.
func (w *Watcher) Urgent(key Key, urgent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.entries[key]
	if e == nil || e.urgent == urgent {
		return
	}
	e.urgent, e.fresh = urgent, !urgent
	w.soon(e)
}

// Forgive gives a queue a fresh start.
func (w *Watcher) Forgive(key Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.entries[key]; e != nil && !e.urgent {
		e.fresh = true
		w.soon(e)
	}
}

// soon looks at a queue now, unless it is idle and there is nothing to report of it.
func (w *Watcher) soon(e *entry) {
	if e.stuck && !e.active {
		e.active, e.rest = true, 0
	}
	if e.active {
		e.at = time.Now()
		w.poke()
	}
}

// Took says that the user itself took n connections from the queue.
func (w *Watcher) Took(key Key, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.entries[key]; e != nil {
		e.taken += n
	}
}

// Close ends the watcher and returns when no report is under way any more.
func (w *Watcher) Close() {
	w.mu.Lock()
	w.closed = true
	w.poke()
	w.mu.Unlock()
	<-w.finished
	w.release()
}

func (w *Watcher) release() {
	_ = unix.Close(w.epoll)
	_ = unix.Close(w.wakeup)
}

func (w *Watcher) poke() { _, _ = unix.Write(w.wakeup, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func (w *Watcher) run() {
	defer close(w.finished)
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := unix.EpollWait(w.epoll, events, w.timeout(time.Now()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		reports, closed := w.round(time.Now(), events[:max(n, 0)])
		if closed {
			return
		}
		for _, r := range reports {
			w.report(r)
		}
	}
}

// timeout is in milliseconds, rounded up; -1 without an active queue.
func (w *Watcher) timeout(now time.Time) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	wait := time.Duration(-1)
	for _, e := range w.entries {
		if d := max(0, e.at.Sub(now)); e.active && (wait < 0 || d < wait) {
			wait = d
		}
	}
	if wait < 0 {
		return -1
	}
	return int((wait + time.Millisecond - 1) / time.Millisecond)
}

// round notes which queues have a first connection and looks at those that are due.
func (w *Watcher) round(now time.Time, events []unix.EpollEvent) (reports []Report, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, event := range events {
		if e := w.byFD[event.Fd]; e != nil {
			e.wake(now)
		} else if event.Fd == int32(w.wakeup) {
			_, _ = unix.Read(w.wakeup, make([]byte, 8))
		}
	}
	for _, e := range w.entries {
		if !e.active || e.at.After(now) {
			continue
		}
		if r, ok := w.look(now, e); ok {
			reports = append(reports, r)
		}
	}
	return reports, w.closed
}

func (w *Watcher) look(now time.Time, e *entry) (Report, bool) {
	n, err := e.queue.Length()
	if err != nil {
		e.active = false
		return Report{}, false
	}
	r, ok := e.look(now, n)
	if !e.active {
		_ = w.arm(unix.EPOLL_CTL_MOD, e) // fires at once if a connection came meanwhile
	}
	return r, ok
}
