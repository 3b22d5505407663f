package proc

import (
	"runtime"
	"sync/atomic"
)

// The kernel remembers which thread started a process: the parent-death signal
// fires when that thread ends, and an execve ends every thread but the caller,
// which becomes the main thread of the new program. Only if processes are
// started on the main thread, and execve is called there, do they live through
// one upgrade after the other. init runs on the main thread and pins the main
// goroutine to it.
func init() { runtime.LockOSThread() }

var (
	mainServed atomic.Bool
	mainCalls  = make(chan func())
)

// Main runs run on another goroutine and lends the main thread to the
// [Spawner]s made meanwhile. It is to be called from main's goroutine, once,
// around everything else, and returns run's exit code.
func Main(run func() int) int {
	mainServed.Store(true)
	defer mainServed.Store(false)
	code := make(chan int, 1)
	go func() { code <- run() }()
	for {
		select {
		case call := <-mainCalls:
			call()
		case c := <-code:
			return c
		}
	}
}

// thread runs calls on one operating system thread.
type thread struct {
	calls chan func()
	quit  chan struct{} // nil when the thread is the main thread
	ended chan struct{}
}

// newThread lends the main thread if [Main] serves it, and starts a thread of
// its own otherwise. The goroutine ends, and its thread with it, at close.
func newThread() *thread {
	if mainServed.Load() {
		return &thread{calls: mainCalls}
	}
	t := &thread{calls: make(chan func()), quit: make(chan struct{}), ended: make(chan struct{})}
	go t.serve()
	return t
}

func (t *thread) serve() {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	defer close(t.ended)
	for {
		select {
		case call := <-t.calls:
			call()
		case <-t.quit:
			return
		}
	}
}

// do runs call on the thread and returns when it has.
func (t *thread) do(call func()) {
	done := make(chan struct{})
	t.calls <- func() {
		defer close(done)
		call()
	}
	<-done
}

func (t *thread) close() {
	if t.quit != nil {
		close(t.quit)
		<-t.ended
	}
}
