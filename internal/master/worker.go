package master

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/nodeipc"
	"github.com/musterd/muster/internal/notify"
	"github.com/musterd/muster/internal/proc"
)

// worker is the process behind a lifecycle.Worker, with everything that the master holds of it. The loop owns it.
type worker struct {
	id   lifecycle.WorkerID
	slot int // lifecycle.NoSlot: a spare
	gen  lifecycle.Generation

	process *proc.Process      // nil until it runs
	conn    *nodeipc.Conn      // nil without a channel
	notify  *notify.Socket     // nil where there is none
	stdout  *logs.Reader       // read ends, owned by their pumps once these run
	stderr  *logs.Reader       //
	tail    *logs.Ring         // the last lines of stderr
	started time.Time          // when it ran
	cancel  context.CancelFunc // ends what waits for its readiness

	asked        bool                     // it wanted to listen
	online       bool                     // Node runs in it
	ready        bool                     // the core was told
	probed       bool                     // its socket is watched, until it is ready
	saidReady    bool                     // by READY=1
	checking     bool                     // its health is being checked
	healthy      bool                     // it has passed its health check
	waiting      []nodeipc.Query          // of a spare: unanswered until it has a slot
	keys         map[string]*listener     // what it listens on, by the key it knows it under
	listens      time.Time                // since when it has any of them
	asking       map[string]nodeipc.Query // answered with a socket that is not acknowledged yet
	unacked      int                      // server handles that it has not acknowledged
	rescued      map[int64]*rescue        // connections it was given and has not answered for
	heard        time.Time                // when it last answered for a connection
	sign         int64                    // number of the connection that it is to refuse as a sign of life; 0: none
	hungUp       bool                     // its channel has ended
	signAt       time.Time                // when it was asked for it
	beatAt       time.Time                // when it last gave a sign by itself
	silent       bool                     // it has owed it for long
	silentAt     time.Time                //
	suspected    lifecycle.Sense          // by which it may be hung: it is being looked at; empty: none
	spared       string                   // why it was not called hung when it was looked at last
	lastRescue   uint64                   // the larger, the later it was given a connection
	status       string                   // what it says of itself
	statusShown  time.Time                // when the log last said so
	blocked      bool
	blockedAt    time.Time
	blockedShown bool                      // the log said so
	stopSent     bool                      // the stop signal was sent
	killed       bool                      // by the master
	drained      bool                      // it was asked to finish
	memory       memoryPace                // of the looks at what it uses
	readers      chan struct{}             // closed when channel and pumps have been read to their end
	phase        lifecycle.Phase           // as it was seen last
	since        time.Time                 // when it was seen first
	handle       proc.Handle               // of the process
	end          *ending                   // of the process
	inspectPort  int                       // of Node's inspector; zero: none
	box          boxPlace                  // of what it holds for the next master
	severed      bool                      // nobody has the other ends of its streams
	lost         bool                      // it was ended because a former master was
	output       [2]*logs.Reader           // what the pumps read, and close
	begun        [2][]byte                 // unfinished lines that another program image has read
	unfinished   [2]atomic.Pointer[[]byte] // those that the pumps have left for the next
	unheard      []nodeipc.Event           // that came when the loop listened no more; its reader's until that has ended
	unnoticed    []notify.Message          // likewise
}

// ending is how a process ended, once done is closed.
type ending struct {
	exit proc.Exit
	done chan struct{}
}

// spawn starts the process of a worker beside the loop. The outcome comes back as an event.
func (m *Master) spawn(e lifecycle.Spawn) {
	w := &worker{
		id: e.Worker, slot: e.Slot, gen: e.Gen, tail: logs.NewRing(tailLines, tailBytes),
		keys: map[string]*listener{}, asking: map[string]nodeipc.Query{}, rescued: map[int64]*rescue{}, readers: make(chan struct{}),
	}
	m.workers[w.id] = w
	plan, err := m.launch(w)
	if err != nil {
		m.later(func() { m.spawnFailed(w, err) })
		return
	}
	m.spawning++
	plan.spec.Born = m.recorder(w)
	m.wg.Go(func() { // ends when the program runs or could not be started
		process, err := m.spawner.Start(context.Background(), plan.spec)
		plan.release()
		m.post(func() {
			m.spawning--
			if err != nil {
				m.spawnFailed(w, err)
				return
			}
			m.spawned(w, process)
		})
		m.orphan(w, process, err)
	})
}

// The last lines of a worker's stderr that its exit report carries.
const (
	tailLines = 20
	tailBytes = 8 << 10
)

// orphan ends a process that was started while the loop was ending: nobody else will.
func (m *Master) orphan(w *worker, process *proc.Process, err error) {
	select {
	case <-m.done:
	default:
		return
	}
	if err == nil && w.process == nil {
		_ = process.SignalGroup(unix.SIGKILL)
		process.Wait()
		_ = process.Close()
	}
}

func (m *Master) spawnFailed(w *worker, err error) {
	m.log.Error("worker not started", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyError, err)
	m.unrecordWorker(w.id)
	w.release()
	delete(m.workers, w.id)
	m.lastExit = proc.Exit{Known: true, Code: exitNotStarted}
	event := m.eventOf(api.EventNotStarted, w, "")
	event.Why = err.Error()
	m.publish(event)
	m.exits = append(m.exits, exitNote{worker: w.id, gen: w.gen, why: err.Error()})
	m.step(lifecycle.SpawnFailed{Worker: w.id, Why: err.Error()})
	m.exits = nil
}

// exitNotStarted is the exit code of an app that gave up because its program cannot be started, as a shell has it.
const exitNotStarted = 127

func (m *Master) spawned(w *worker, p *proc.Process) {
	w.process, w.started, w.handle = p, time.Now(), p.Handle()
	w.end = watchEnd(p)
	m.noteRefused(p.Warnings)
	m.log.Info("worker started", logs.KeySlot, w.slot, logs.KeyWorker, w.id, logs.KeyPID, p.PID())
	m.publish(m.eventOf(api.EventStarted, w, ""))
	m.noteTryBegins()
	m.keepWorker(w)
	m.readStreams(w)
	m.step(lifecycle.Spawned{Worker: w.id})
	m.handOff(w)
}

// readStreams starts what reads the worker: its output, its channel, its notifications. Each ends at its end of file.
func (m *Master) readStreams(w *worker) {
	source := func(stream string) logs.Source {
		return logs.Source{App: m.cfg.App.Name, Slot: w.slot, Worker: uint64(w.id), PID: w.handle.PID, Stream: stream}
	}
	ends := make(chan struct{}, 3)
	pump := func(i int, r *logs.Reader, src logs.Source, tail *logs.Ring) {
		defer func() { ends <- struct{}{} }()
		if r == nil { // it ended before an upgrade
			return
		}
		rest, err := logs.PumpFrom(w.begun[i], r, src, m.sinkOf(src), tail)
		w.unfinished[i].Store(&rest)
		if err != nil && !errors.Is(err, os.ErrClosed) {
			m.log.Warn("worker output lost", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyError, err)
		}
	}
	stdout, stderr := w.stdout, w.stderr
	w.output = [2]*logs.Reader{stdout, stderr}
	w.stdout, w.stderr = nil, nil
	outOf, errOf := source(logs.Stdout), source(logs.Stderr) // as they are now: the loop may change what they say
	m.wg.Go(func() { pump(0, stdout, outOf, nil) })
	m.wg.Go(func() { pump(1, stderr, errOf, w.tail) })
	m.wg.Go(func() {
		m.readChannel(w)
		ends <- struct{}{}
	})
	if w.notify != nil {
		m.wg.Go(func() { m.readNotify(w) })
	}
	m.wg.Go(func() { // ends with the three
		for range cap(ends) {
			<-ends
		}
		close(w.readers)
	})
	m.wg.Go(func() { m.await(w) })
}

// watchEnd waits for the process on a goroutine that ends with it.
func watchEnd(p *proc.Process) *ending {
	e := &ending{done: make(chan struct{})}
	go func() {
		e.exit = p.Wait()
		close(e.done)
	}()
	return e
}

// await waits for the end of the process, and then for what it wrote last: a reply or a line that was on its way belongs before the
// exit. A descendant that the worker's end did not take with it may hold the pipes open, so this has a bound.
func (m *Master) await(w *worker) {
	select {
	case <-w.end.done:
	case <-m.frozen:
		return
	}
	until := time.Now().Add(lastWords)
	bound := time.NewTimer(lastWords)
	defer bound.Stop()
	select {
	case <-w.readers:
	case <-bound.C:
	}
	w.hearOut(until)
	m.post(func() { m.exited(w, w.end.exit) })
}

const lastWords = 500 * time.Millisecond

// hearOut returns when the loop has been handed what the worker said on its notify socket, which has no end of file. A barrier stands
// behind all that was sent before it.
func (w *worker) hearOut(until time.Time) {
	if w.notify == nil {
		return
	}
	answer, far, err := os.Pipe()
	if err != nil {
		return
	}
	defer closeAll(answer)
	err = w.sendBarrier(far)
	closeAll(far)
	if err == nil && answer.SetReadDeadline(until) == nil {
		_, _ = answer.Read(make([]byte, 1)) // end of file: the answer
	}
}

func (w *worker) sendBarrier(far *os.File) error {
	raw, err := far.SyscallConn()
	if err != nil {
		return err
	}
	bad := raw.Control(func(fd uintptr) {
		err = notify.Send(w.notify.Path(), notify.Message{Barrier: true}, int(fd))
	})
	return errors.Join(bad, err)
}

// exited forgets the worker, after its report.
func (m *Master) exited(w *worker, exit proc.Exit) {
	m.lastExit = exit
	why := m.exitText(w, exit)
	tail := w.tail.Lines()
	if w.process != nil { // not one that an upgrade found ended
		_ = w.process.Close()
	}
	m.unkeepWorker(w)
	m.unrecordWorker(w.id)
	w.release()
	delete(m.workers, w.id)
	m.exits = append(m.exits, exitNote{worker: w.id, gen: w.gen, why: why, lived: time.Since(w.started), pid: w.handle.PID, tail: tail})
	if m.groups.unset {
		m.limitAll(m.groups.set)
	}
	m.step(lifecycle.Exited{Worker: w.id, Why: why, OK: exit.Success(), Lost: w.lost})
	m.exits = nil
	m.lost(w)
}

// exitText names the end of a process, and the kernel's reason where it can be known.
func (m *Master) exitText(w *worker, exit proc.Exit) string {
	if why := m.outOfMemory(w, exit); why != "" {
		return exit.String() + " (" + why + ")"
	}
	return exit.String()
}

// release gives back what the worker held. It may be called again.
func (w *worker) release() {
	if w.cancel != nil {
		w.cancel()
	}
	_ = errors.Join(w.stdout.Close(), w.stderr.Close())
	if w.conn != nil {
		_ = w.conn.Close()
	}
	if w.notify != nil {
		_ = w.notify.Close()
	}
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// kill ends the worker and its tree.
func (w *worker) kill() {
	w.killed = true
	if w.process != nil {
		_ = w.process.SignalGroup(unix.SIGKILL) // it may have exited meanwhile
	}
}

// lookAnew ends what waits for the worker's readiness, or checks its health, and returns the context of what takes its place.
func (w *worker) lookAnew() context.Context {
	if w.cancel != nil {
		w.cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	return ctx
}

// lose ends a worker that never served, since what it was to do next was lost with a former master.
func (w *worker) lose() {
	w.lost = true
	w.kill()
}

// terminate sends the stop signal to the worker alone: a program that has processes of its own tells them itself.
func (w *worker) terminate(sig unix.Signal) {
	if w.process != nil && !w.stopSent {
		w.stopSent = true
		_ = w.process.Signal(sig) // it may have exited meanwhile
	}
}

// readChannel passes on what the worker says on its channel, until it closes it.
func (m *Master) readChannel(w *worker) {
	if w.conn == nil {
		return
	}
	for {
		event, err := w.conn.Receive()
		if err != nil {
			m.post(func() { m.channelEnded(w, err) })
			return
		}
		if relevant(event) && !m.post(func() { m.channelEvent(w, event) }) {
			w.unheard = append(w.unheard, event)
		}
	}
}

// relevant keeps a worker that talks a lot from keeping the loop busy: what a program says to others than the master is dropped here.
func relevant(event nodeipc.Event) bool {
	msg, ok := event.(nodeipc.Message)
	if !ok {
		return true
	}
	if msg.FD >= 0 {
		_ = unix.Close(msg.FD) // nobody here wants it
	}
	text, _ := msg.Text()
	return text == messageReady || msg.Act() == actSuicide
}

func (m *Master) readNotify(w *worker) {
	for {
		d, err := w.notify.Receive()
		if err != nil {
			return // closed, with the worker
		}
		answered := d.AnswerBarrier()
		_ = d.Close() // descriptors for a store that there is none of
		if !answered && !m.post(func() { m.notified(w, d.Message) }) {
			w.unnoticed = append(w.unnoticed, d.Message)
		}
	}
}

// channelEnded is no end of the worker: a program may close its channel and live on.
func (m *Master) channelEnded(w *worker, err error) {
	if m.workers[w.id] == nil {
		return
	}
	if !errors.Is(err, io.EOF) {
		m.log.Warn("channel closed", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyError, err)
	}
	_ = w.conn.Close()
	m.hangUpOn(w)
	m.lost(w)
	m.channelGone(w)
}
