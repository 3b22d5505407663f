package master

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/inspector"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
)

// inspectOptions have Node's inspector, which opens at SIGUSR1, take any free port of the loopback interface, and tell its address, with a random
// number in it without which nobody gets in, to stderr alone.
const inspectOptions = "--inspect-port=0 --inspect-publish-uid=stderr"

// inspects tells whether a Node worker may be asked over its inspector where it stands.
func (m *Master) inspects(w *worker) bool {
	return m.of(w).App.HangTimeout > 0 && m.of(w).Kind == KindNode && m.of(w).Inspect == nil
}

const (
	stackTime = 4500 * time.Millisecond // less than the core's patience with a hung worker
	stackLook = 20 * time.Millisecond   // between looks at what it wrote to stderr
)

// inspectNode asks a hung Node worker where its main thread stands.
func (m *Master) inspectNode(w *worker) {
	if !m.inspects(w) {
		return
	}
	_ = w.process.Signal(unix.SIGUSR1) // it may have exited meanwhile
	_ = w.process.Signal(unix.SIGCONT)
	m.wg.Go(func() { // ends with the answer, the worker, or the time
		ctx, cancel := context.WithTimeout(context.Background(), stackTime)
		defer cancel()
		stack, err := m.stackOf(ctx, w)
		m.post(func() { m.tellStack(w, stack, err) })
	})
}

var errNoInspector = errors.New("it does not open its inspector: it is not in JavaScript, or has a handler for SIGUSR1")

// stackOf waits for the address of the inspector, and asks it.
func (m *Master) stackOf(ctx context.Context, w *worker) ([]string, error) {
	look := time.NewTicker(stackLook)
	defer look.Stop()
	for {
		if url, found := inspector.Address(w.tail.Lines()); found {
			return inspector.Stack(ctx, url)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil, errNoInspector
		case <-w.end.done:
			return nil, errors.New("it has ended")
		case <-m.done:
			return nil, context.Canceled
		case <-m.frozen:
			return nil, context.Canceled
		}
	}
}

// tellStack puts the stack where the last lines of the worker's stderr are, and into the log.
func (m *Master) tellStack(w *worker, stack []string, err error) {
	if m.workers[w.id] != w {
		return
	}
	if err != nil {
		m.log.Warn("hung worker does not say where it stands", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyError, err)
	} else {
		m.log.Error("hung worker stands here", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyStack, strings.Join(stack, "\n"))
		w.tail.Refill(append([]string{"hung:"}, stack...))
	}
	m.step(lifecycle.Inspected{Worker: w.id})
}
