package proc

import "time"

// Activity is what some processes have done so far, and what the first of them
// does now. What the kernel does not tell is zero.
type Activity struct {
	CPU     time.Duration // that they used, since each of them began; the clock ticks by 10 ms
	Delayed time.Duration // for which their threads could have run, and got no CPU
	State   byte          // of the first one's main thread: R, S, D, T, t, Z, I, as in proc(5)
	Wait    string        // the kernel's function in which that sleeps
	Tracer  int           // pid of a debugger that holds the first one
}

// Stopped tells whether it was stopped by a signal, as SIGSTOP.
func (a Activity) Stopped() bool { return a.State == 'T' }
