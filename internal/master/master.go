package master

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"time"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/rundir"
	"github.com/musterd/muster/internal/stats"
)

// Master is one app's supervisor. Only its loop touches it, except for what says otherwise.
type Master struct {
	cfg     Config
	log     *slog.Logger
	records []*logs.Async // behind log
	output  *logs.Output  // of the workers' lines; closed by close
	state   *lifecycle.State

	inbox     chan func()   // to the loop, from anywhere
	done      chan struct{} // closed when the loop has ended; nothing is read from inbox any more
	frozen    chan struct{} // closed when the loop will listen to no more events, because another process image goes on
	gate      sync.RWMutex  // read-locked while an event is on its way into the inbox
	spawning  int           // starts under way
	resolving int           // reloads that read the app's files
	queued    []func()      // from the loop to itself
	alarms    []alarm
	wg        sync.WaitGroup // of every goroutine that posts to the inbox

	workers   map[lifecycle.WorkerID]*worker
	listeners []*listener
	slots     int       // slots with sockets, including those that were parked by a scale-down
	measured  time.Time // when the workers' work was measured last
	asks      bool      // some worker once asked for a socket: from then on one that asks for none is not ready
	balance   app.Balance

	run     *rundir.Folder // closed by close
	control control
	usage   stats.Sampler // for the API, outside of the loop
	spawner *proc.Spawner
	guard   *proc.Guard
	reaper  *proc.Reaper
	kept    keeping
	rescue  rescuer
	gives   uint64 // connections given to workers so far
	pinging bool   // an alarm is set for the next pings
	above   upstream
	files   files
	hooks   hooks
	clock   *clock // nil: none. Closed by closeWatch
	groups  groups
	refused []string // what the system refused to workers, as the log was told

	upgrading  bool      // an upgrade is being tried
	become     bool      // the new binary has proved itself
	upgradeErr error     // why the last one failed
	upgrades   int       // so far
	revived    *snapshot // that this master was made of, until it has resumed

	stops     int       // stop signals so far, echoes not counted
	stoppedAt time.Time // the last of them
	ops       uint64
	lastExit  proc.Exit
	exits     []exitNote // of the step under way
	exitCode  int
	ended     bool
}

type alarm struct {
	at time.Time
	do func()
}

// Run supervises the app until it is stopped by a signal, gives up, or ctx ends, and returns the exit code of the process. The error is for
// what kept the app from starting.
func Run(ctx context.Context, cfg Config) (int, error) {
	signals := catchSignals() // a stop that comes while everything is opened is not lost
	defer signal.Stop(signals)
	folder, err := rundir.Open(cfg.App.Name, cfg.switches()) // first, so that a name which is taken is told as that
	if err != nil {
		return 1, err
	}
	m, lost := former(folder, cfg.adapt)
	if m != nil {
		return m.runFor(ctx, cfg, signals)
	}
	m = newMaster(cfg)
	m.run, m.output = folder, m.newOutput()
	if cfg.Finish {
		return m.endLeft(lost)
	}
	if err := m.open(lost); err != nil {
		m.close()
		return 1, err
	}
	if cfg.Opened != nil {
		cfg.Opened(m.run.Socket())
	}
	return m.runOn(ctx, signals)
}

// runFor goes on with the workers of a former master, to stop them if that is what is left to do.
func (m *Master) runFor(ctx context.Context, cfg Config, signals chan os.Signal) (int, error) {
	if cfg.Finish {
		m.later(func() { m.halt(false, "its former master was killed while the app was being stopped") })
	}
	if cfg.Opened != nil {
		cfg.Opened(m.run.Socket())
	}
	return m.runOn(ctx, signals)
}

// endLeft ends workers that nobody can go on with, of an app that is to be stopped.
func (m *Master) endLeft(lost error) (int, error) {
	defer m.close()
	if err := m.openLogs(); err != nil {
		m.log.Error("log files not opened", keyError, err)
	}
	if m.cfg.Opened != nil {
		m.cfg.Opened("") // nothing answers
	}
	m.endFormer(lost)
	if m.run.Former() != "" {
		return 0, m.run.Renew()
	}
	return 0, nil
}

// adapt completes a Config of a former master by what only this process knows.
func (c *Config) adapt(of Config) Config {
	of.Reload, of.Version = c.Reload, c.Version
	return of
}

// catchSignals takes the signals to a master.
func catchSignals() chan os.Signal {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, handled...)
	return signals
}

// runOn lets the master run to the end of its app, or of itself: one whose upgrade failed is followed by one that goes on with its workers.
func (m *Master) runOn(ctx context.Context, signals chan os.Signal) (int, error) {
	defer signal.Stop(signals)
	defer func() { m.leave() }()
	for {
		m.start(ctx, signals)
		if m.ended {
			return m.exitCode, nil
		}
		m = m.transform()
	}
}

// leave gives everything back. A master that panics leaves it to the next one, if there will be one: its workers serve on.
func (m *Master) leave() {
	if !m.ended && m.survives() {
		m.flush()
		return
	}
	m.unkeepAll()
	m.close()
}

func newMaster(cfg Config) *Master {
	m := &Master{
		cfg:     cfg,
		balance: cfg.balance(),
		state:   lifecycle.New(policy(cfg), cfg.Workers, rand.Uint64()),
		inbox:   make(chan func(), 64),
		done:    make(chan struct{}),
		frozen:  make(chan struct{}),
		workers: map[lifecycle.WorkerID]*worker{},
		slots:   cfg.Workers,
		control: newControl(cfg),
	}
	m.useLog(nil)
	m.countKills() // from here on
	return m
}

func policy(cfg Config) lifecycle.Policy {
	p := lifecycle.Policy{
		Job:            jobPolicy(cfg.App),
		StartTimeout:   cfg.App.StartTimeout.Duration(),
		StopTimeout:    cfg.App.StopTimeout.Duration(),
		MinUptime:      cfg.App.MinUptime.Duration(),
		MaxStarting:    cfg.App.MaxStarting,
		DrainTimeout:   cfg.App.DrainTimeout.Duration(),
		Surge:          cfg.App.Surge,
		Settle:         cfg.App.ReloadSettle.Duration(),
		RetireOver:     cfg.App.RetireOver.Duration(),
		HangTimeout:    cfg.App.HangTimeout.Duration(),
		OldGenerations: cfg.App.MaxOldGenerations,
		MaxAge:         cfg.App.MaxAge.Duration(),
		Singleton:      cfg.App.Singleton,
	}
	if cfg.speaksNode() { // only a worker that asks for its sockets can wait for a slot
		p.Spares = cfg.App.Spares
	}
	if p.MaxStarting == 0 {
		p.MaxStarting = cfg.CPUs
	}
	if n := cfg.App.MaxRestarts; n != nil {
		p.GiveUpAfter = *n + 1
	}
	return p
}

// open takes everything from the system that can be refused. What it took is given back by close. Workers of a former master are ended: lost says
// why nobody could go on with them.
func (m *Master) open(lost error) error {
	if err := m.openLogs(); err != nil {
		return err
	}
	if m.run.Former() != "" {
		m.endFormer(lost)
		if err := m.run.Renew(); err != nil {
			return err
		}
	}
	if err := m.openListeners(); err != nil {
		return err
	}
	if err := m.openProcesses(); err != nil {
		return err
	}
	if err := m.openControl(); err != nil {
		return err
	}
	m.openStore()
	if err := m.openGuard(); err != nil {
		return err
	}
	return m.limitFrom(&m.cfg)
}

// openGuard starts what ends the workers with the master, where nobody keeps them for the next one.
func (m *Master) openGuard() error {
	if m.survives() {
		return nil
	}
	guard, err := proc.NewGuard(m.spawner)
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	m.guard = guard
	return m.guard.RemoveAtEnd(m.run.Private())
}

func (m *Master) openProcesses() error {
	if err := proc.CanStart(); err != nil {
		return &app.Error{Reason: "/proc is not mounted, without which muster can start no process", Hint: "mount it: mount -t proc proc /proc"}
	}
	if err := proc.BecomeSubreaper(); err != nil {
		m.log.Debug("stray processes cannot be caught", keyError, err)
	}
	m.spawner = proc.NewSpawner(m.log)
	m.reaper = proc.NewReaper(m.log)
	return nil
}

// start runs the loop until the app has ended, or the process is to become another binary.
func (m *Master) start(ctx context.Context, signals <-chan os.Signal) {
	if err := proc.SetTitle("muster: master " + m.cfg.App.Name); err != nil {
		m.log.Debug("process title not set", keyError, err)
	}
	m.above = newUpstream(m.log)
	m.openRescue()
	m.saveMemory()
	if m.revived == nil {
		m.announceStart()
	} else {
		m.log.Info("master goes on", keyUpgrades, m.upgrades, logs.KeyPID, os.Getpid(), keyWorkers, len(m.workers))
		m.resume()
	}
	m.keepAll()
	m.step(lifecycle.Tick{})
	m.beatAbove()
	m.openWatch()
	m.beginPings()
	m.beginJob()
	m.lookAtCalendar()
	m.loop(ctx, signals)
}

func (m *Master) loop(ctx context.Context, signals <-chan os.Signal) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	cancelled := ctx.Done()
	for {
		m.drainQueued()
		if m.over() {
			return
		}
		if len(m.inbox) == 0 {
			m.persistIdle()
		}
		timer.Reset(m.nextWake())
		select {
		case do := <-m.inbox:
			do()
		case sig := <-signals:
			m.signal(sig)
		case <-cancelled:
			cancelled = nil
			m.stop("the context ended")
		case <-timer.C:
			m.wake()
		}
	}
}

// over tells whether the loop is to end: the app has ended, and no hook runs, or another program goes on.
func (m *Master) over() bool {
	if !m.ended {
		return m.become
	}
	m.endHook("the app has ended", false)
	return m.hooks.running == nil
}

func (m *Master) drainQueued() {
	for len(m.queued) > 0 {
		do := m.queued[0]
		m.queued = m.queued[1:]
		do()
	}
}

// post hands do to the loop. It may be called from anywhere but the loop. It is false when the loop listens no more.
func (m *Master) post(do func()) bool {
	m.gate.RLock()
	defer m.gate.RUnlock()
	select {
	case <-m.frozen:
		return false
	default:
	}
	select {
	case m.inbox <- do:
		return true
	case <-m.done:
		return false
	}
}

// later runs do in the loop, after what it is doing now.
func (m *Master) later(do func()) { m.queued = append(m.queued, do) }

// after runs do in the loop when d has passed.
func (m *Master) after(d time.Duration, do func()) {
	m.alarms = append(m.alarms, alarm{at: time.Now().Add(d), do: do})
}

func (m *Master) nextWake() time.Duration {
	next, ok := m.state.NextDeadline()
	for _, a := range m.alarms {
		if !ok || a.at.Before(next) {
			next, ok = a.at, true
		}
	}
	if due, any := m.nextDue(); any && (!ok || due.Before(next)) {
		next, ok = due, true
	}
	if rest := m.kept.restUntil; m.kept.late && rest.After(time.Now()) && (!ok || rest.Before(next)) {
		next, ok = rest, true
	}
	if !ok {
		return time.Hour
	}
	return max(0, time.Until(next))
}

func (m *Master) wake() {
	now := time.Now()
	var rest []alarm
	for _, a := range m.alarms {
		if a.at.After(now) {
			rest = append(rest, a)
		} else {
			m.later(a.do)
		}
	}
	m.alarms = rest
	m.lookAtCalendar()
	m.step(lifecycle.Tick{})
}

// step tells the core what happened and carries out what it decides.
func (m *Master) step(ev lifecycle.Event) {
	if work, ok := m.measure(ev); ok {
		m.apply(work)
	}
	m.apply(ev)
}

func (m *Master) apply(ev lifecycle.Event) {
	effects := m.state.Step(time.Now(), ev)
	for _, effect := range effects {
		if a, ok := effect.(lifecycle.Announce); ok {
			m.takeNote(a)
		}
	}
	if len(effects) > 0 {
		m.persist()
	}
	for _, effect := range effects {
		text := effectText(effect)
		m.log.Debug("effect", keyEffect, text)
		m.carryOut(effect)
		carriedOut(text)
	}
	m.noteProgress()
}

// close gives everything back, in the reverse order of open. No worker is left when it returns.
func (m *Master) close() {
	close(m.done)
	m.closeWatch()
	m.closeControl()
	m.killRest()
	m.closeGroups()
	m.rescue.close()
	m.awaitReaders()
	for _, l := range m.listeners {
		l.close()
	}
	if m.guard != nil {
		m.guard.Close()
	}
	if m.reaper != nil {
		m.reaper.Close()
	}
	if m.spawner != nil {
		m.spawner.Close()
	}
	if m.kept.pages != nil {
		m.kept.pages.Close()
	}
	m.run.Close()
	m.flush()
	m.closeOutput()
}

// awaitReaders waits for the goroutines that read the workers. What keeps them is a standard stream that nobody reads: not for ever.
func (m *Master) awaitReaders() {
	ended := make(chan struct{})
	go func() { // ends with them, or with the process
		m.wg.Wait()
		close(ended)
	}()
	bound := time.NewTimer(2 * time.Second)
	defer bound.Stop()
	select {
	case <-ended:
	case <-bound.C:
	}
}

// saveMemory trades a little time for memory, of which there is a master per app: it allocates hardly anything once its workers run. What
// the start of the process needed goes back to the system.
func (m *Master) saveMemory() {
	debug.SetGCPercent(gcPercent)
	if m.state.Want > manyWorkers {
		debug.SetGCPercent(gcPercentOfMany)
	}
	m.after(settled, func() {
		debug.FreeOSMemory()
		proc.DropImage()
	})
}

const (
	gcPercent       = 25
	gcPercentOfMany = 100 // to look through what so many need takes long
	manyWorkers     = 64
	settled         = 3 * time.Second // after the start
)

// killRest ends what is left of the workers' trees. After a clean stop there is nothing; after a panic of the loop, everything.
func (m *Master) killRest() {
	for _, w := range m.workers {
		w.kill()
	}
	if m.reaper == nil || os.Getpid() == 1 { // the end of PID 1 is the end of all others
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	if err := proc.KillStrangers(ctx); err != nil {
		m.log.Warn("strays left", keyError, err)
	}
}
