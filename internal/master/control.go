package master

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/rundir"
)

// control is the master's API: its server, who watches and waits, and what is remembered for them. The loop owns everything in it.
type control struct {
	server   *apiserver.Server // nil: none
	socket   int               // the listening socket, beside the server's copy; -1: none. Closed by closeControl
	halted   bool              // who watches or waits is let go at once
	watchers map[*watcher]struct{}
	waiters  map[uint64][]chan api.Operation // for the end of an operation
	recent   []api.Event                     // the last ones, oldest first
	memory   memory
}

// memory is what the API remembers. It is plain data.
type memory struct {
	Started    time.Time                       `json:"started"`
	Revision   uint64                          `json:"revision"` // of the last event
	Operations []*api.Operation                `json:"operations"`
	Exits      map[int][]api.Exit              `json:"exits"`    // the last of each slot, oldest first; those of spares under NoSlot
	Configs    map[lifecycle.Generation]Config `json:"configs"`  // of every generation that is or may be spawned
	Good       lifecycle.Generation            `json:"good"`     // the last that proved itself
	Served     bool                            `json:"served"`   // every slot was, once
	Previous   lifecycle.Generation            `json:"previous"` // the one that it replaced; zero: none
	Calendar   calendar                        `json:"calendar,omitzero"`
	Hook       *savedHook                      `json:"hook,omitempty"` // that runs
}

func newControl(cfg Config) control {
	return control{
		socket:   -1,
		watchers: map[*watcher]struct{}{},
		waiters:  map[uint64][]chan api.Operation{},
		memory: memory{
			Started: time.Now(), Exits: map[int][]api.Exit{}, Configs: map[lifecycle.Generation]Config{firstGeneration: cfg},
			Good: firstGeneration,
		},
	}
}

// firstGeneration is what an app begins with.
const firstGeneration = lifecycle.Generation(1)

// Bounds of the server.
const (
	askTimeout  = 10 * time.Second // for the loop to answer
	lastAnswers = time.Second      // for the answers that are under way when the master ends
)

// openControl makes the socket and serves the API on it, until closeControl.
func (m *Master) openControl() error {
	listener, err := apiserver.Listen(m.run.Socket())
	if err != nil {
		return fmt.Errorf("open control socket: %w", err)
	}
	if m.control.socket, err = apiserver.Duplicate(listener); err != nil {
		return fmt.Errorf("keep control socket: %w", errors.Join(err, listener.Close()))
	}
	m.serveControl(listener)
	return m.publishPlace()
}

// publishPlace lets clients find this process.
func (m *Master) publishPlace() error {
	info := rundir.Info{Name: m.cfg.App.Name, PID: os.Getpid(), Cwd: m.cfg.Base, Started: m.control.memory.Started, Version: m.cfg.Version}
	if err := m.run.Publish(info); err != nil {
		return fmt.Errorf("tell where the master is: %w", err)
	}
	return nil
}

// keepPublished does so, and tries again until it has: the disk may be full, and workers serve. What the former master has left names the same
// socket.
func (m *Master) keepPublished() {
	if err := m.publishPlace(); err != nil {
		m.log.Error("what is told of this master is of the one before", keyError, err)
		m.after(publishAgain, m.keepPublished)
	}
}

const publishAgain = 10 * time.Second

func (m *Master) serveControl(l net.Listener) {
	s := apiserver.New(l, m.api(), slog.NewLogLogger(m.log.Handler(), slog.LevelDebug))
	m.control.server = s
	m.wg.Go(func() { // ends when the server is halted
		if err := s.Run(); err != nil {
			m.log.Error("control socket lost", logs.KeyPID, os.Getpid(), keyError, err)
		}
	})
}

// resumeControl serves the API again on the socket that lived through an upgrade. Clients have been waiting in its queue.
func (m *Master) resumeControl() {
	if m.control.socket < 0 || m.control.server != nil {
		return
	}
	f := os.NewFile(uintptr(dup(m.control.socket)), "control socket")
	listener, err := net.FileListener(f)
	closeAll(f)
	if err != nil {
		m.log.Error("control socket lost", keyError, err)
		return
	}
	m.serveControl(listener)
}

// pauseControl serves no more, until resumeControl; new clients wait in the socket's queue. It is for the loop, and handles meanwhile
// what is asked of it.
func (m *Master) pauseControl() {
	m.endWatch()
	halted := make(chan struct{})
	go func() { // ends within lastAnswers
		m.haltServer()
		close(halted)
	}()
	for {
		select {
		case do := <-m.inbox:
			do()
		case <-halted:
			return
		}
	}
}

// closeControl ends the API. The loop has ended.
func (m *Master) closeControl() {
	m.endWatch()
	m.haltServer()
	if m.control.socket >= 0 {
		_ = unix.Close(m.control.socket)
	}
}

// haltServer lets every client that was accepted have its answer, as far as it takes it, and serves no more. The socket stays open.
func (m *Master) haltServer() {
	if m.control.server != nil {
		m.control.server.Halt(lastAnswers)
	}
}

// ask runs f in the loop and returns its answer. What f returns must not be changed by the loop later.
func ask[T any](ctx context.Context, m *Master, f func() T) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	reply := make(chan T, 1)
	m.post(func() { reply <- f() })
	select {
	case answer := <-reply:
		return answer, nil
	case <-m.done:
	case <-m.frozen:
	case <-ctx.Done():
	}
	var none T
	return none, &api.Error{Kind: api.KindUnavailable, Message: "the app is ending"}
}
