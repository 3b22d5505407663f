package proc

import (
	"log/slog"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// Reaper takes away the ended processes nobody started here: orphans that came
// to this process as PID 1 or subreaper. It never waits for a child of a
// [Spawner] or of [Own].
type Reaper struct {
	log  *slog.Logger
	quit chan struct{}
	done sync.WaitGroup
}

// NewReaper starts the one goroutine that reaps; it ends at Close. Adopt the
// children from before an execve first, so that they are known.
func NewReaper(log *slog.Logger) *Reaper {
	r := &Reaper{log: log, quit: make(chan struct{})}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	r.done.Go(func() {
		defer signal.Stop(ended)
		r.run(ended)
	})
	return r
}

// run sweeps at every sign that there may be something, and once at the start:
// a child may have ended before anybody listened.
func (r *Reaper) run(ended <-chan os.Signal) {
	for {
		r.sweep()
		select {
		case <-ended:
		case <-children.reaped:
		case <-r.quit:
			return
		}
	}
}

func (r *Reaper) sweep() {
	for {
		pid, exit, ok := children.reapStranger()
		if !ok {
			return
		}
		r.log.Debug("stranger reaped", "pid", pid, "exit", exit.String())
	}
}

// Close ends the goroutine.
func (r *Reaper) Close() {
	close(r.quit)
	r.done.Wait()
}

func reapStrangers() {
	for ok := true; ok; {
		_, _, ok = children.reapStranger()
	}
}
