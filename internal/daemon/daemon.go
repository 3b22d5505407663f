package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/apiserver"
	"github.com/musterd/muster/internal/notify"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/rundir"
	"github.com/musterd/muster/internal/stats"
)

// Config is what a daemon needs to know.
type Config struct {
	Version   string
	Binary    string // file that masters are started from
	Log       *slog.Logger
	Resurrect bool   // start what was saved
	Ready     func() // called when the API answers; may be nil
}

// Daemon keeps the masters of a user.
type Daemon struct {
	cfg     Config
	log     *slog.Logger
	ctx     context.Context // ends with the daemon
	state   string          // folder
	boot    string
	started time.Time

	run      *rundir.Folder
	spawner  *proc.Spawner
	reaper   *proc.Reaper
	listener *net.UnixListener
	server   *apiserver.Server
	feed     *feed
	usage    stats.Sampler
	ends     chan ending   // asks for the end
	upgrades int           // of this process
	halted   sync.Once     // see halt
	changed  chan struct{} // wakes the conductor
	closing  chan struct{} // closed by close
	crashed  bool          // the daemon before this one was killed: what shall run is known, and is not what was saved

	mu      sync.Mutex
	keepers map[string]*keeper // by name
	lastID  int
	loops   sync.WaitGroup
}

// ending is how the daemon ends.
type ending int

const (
	endAll     ending = iota // with all apps
	endAlone                 // masters go on
	endUpgrade               // this process becomes another program
)

// Run is the daemon until a signal or a request ends it. The error is for what kept it from starting.
func Run(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &Daemon{cfg: cfg, log: cfg.Log, ctx: ctx, boot: bootID(), started: time.Now(), feed: newFeed(), ends: make(chan ending, 1), changed: make(chan struct{}, 1), closing: make(chan struct{}), keepers: map[string]*keeper{}}
	defer d.close()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR2)
	signal.Ignore(syscall.SIGHUP)
	defer signal.Stop(signals)
	former, err := inherit()
	if err != nil {
		return err
	}
	if err := d.open(former); err != nil {
		return err
	}
	d.log.Info("daemon serves", "pid", os.Getpid(), "apps", len(d.keepers), "state", d.state)
	if cfg.Resurrect && !d.crashed && former == nil {
		answer, err := d.resurrect(ctx)
		d.log.Info("resurrected", "apps", answer.Names, "failed", answer.Failed, "error", err)
	}
	if cfg.Ready != nil {
		cfg.Ready()
	}
	d.tellManager(notify.Message{Ready: true, Status: "serving", HasStatus: true})
	return d.end(d.await(signals), signals)
}

// await waits until the daemon is to end.
func (d *Daemon) await(signals <-chan os.Signal) ending {
	how := endAll
	select {
	case sig := <-signals:
		if sig == syscall.SIGUSR2 {
			how = endAlone
		}
		d.log.Info("stopping", "signal", sig.String(), "masters go on", how != endAll)
	case how = <-d.ends:
		if how != endUpgrade {
			d.log.Info("stopping", "masters go on", how != endAll)
		}
	case <-d.ctx.Done():
	}
	return how
}

func (d *Daemon) end(how ending, signals <-chan os.Signal) error {
	if how == endUpgrade {
		d.log.Info("upgrading", "binary", d.cfg.Binary)
		return d.become()
	}
	d.tellManager(notify.Message{Stopping: true})
	if how == endAll {
		d.stopAll(signals)
	}
	return nil
}

// tellManager tells the manager above, as systemd.
func (d *Daemon) tellManager(m notify.Message) {
	if err := notify.Send(os.Getenv("NOTIFY_SOCKET"), m); err != nil {
		d.log.Warn("manager above not notified", "error", err)
	}
}

// open takes the place of the daemon, finds what runs, and serves. What it took is given back by close.
func (d *Daemon) open(former *heritage) (err error) {
	if d.state, err = rundir.StateDir(); err != nil {
		return err
	}
	if former != nil {
		d.run, d.started, d.upgrades = rundir.Adopt(former.Folder), former.Started, former.Upgrades
	} else if d.run, err = rundir.OpenDaemon(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(d.state, appsFolder), 0o700); err != nil {
		return &rundir.StateError{Err: err}
	}
	if err := proc.BecomeSubreaper(); err != nil {
		d.log.Debug("orphans of killed masters cannot be caught", "error", err)
	}
	d.spawner = proc.NewSpawner(d.log)
	d.sweep()
	d.findAll()
	d.reaper = proc.NewReaper(d.log)
	if err := proc.SetTitle("muster: daemon"); err != nil {
		d.log.Debug("process title not set", "error", err)
	}
	return d.serve(former)
}

func (d *Daemon) serve(former *heritage) (err error) {
	if former != nil {
		d.listener, err = former.listen()
	} else {
		d.listener, err = apiserver.Listen(d.run.Socket())
	}
	if err != nil {
		return fmt.Errorf("open the daemon's socket: %w", err)
	}
	d.server = apiserver.New(d.listener, apiserver.Handler(d, routes), slog.NewLogLogger(d.log.Handler(), slog.LevelDebug))
	d.loops.Go(func() { // ends when the server is halted
		if err := d.server.Run(); err != nil {
			d.log.Error("socket of the daemon lost", "error", err)
		}
	})
	return d.run.Publish(rundir.Info{
		Name: "daemon", PID: os.Getpid(), Cwd: d.state, Started: d.started, Version: d.cfg.Version,
	})
}

// findAll makes a keeper of each app that is known, which goes on with the master that it finds, or starts one.
func (d *Daemon) findAll() {
	var wg sync.WaitGroup
	for _, r := range d.records() {
		k := d.newKeeper(r)
		d.lastID = max(d.lastID, r.ID)
		d.crashed = d.crashed || r.Wanted && r.Boot == d.boot
		d.keepers[k.id] = k
		wg.Go(k.find)
	}
	wg.Wait()
	for _, k := range d.keepers {
		d.loops.Go(k.run) // ends at close
	}
	d.loops.Go(d.conduct) // ends at close
	d.somethingChanged()
}

// find goes on where an earlier daemon has ended. The loop has not begun.
func (k *keeper) find() {
	m := findMaster(k.id)
	switch {
	case m != nil:
		k.record.Wanted = true
		k.hold(m)
		k.d.log.Info("master found", "app", k.id, "pid", m.process.PID())
		k.keepFor(m)
	case !k.record.Wanted && k.record.Boot == k.d.boot && rundir.IsLeft(k.id):
		k.d.log.Info("app goes on being stopped", "app", k.id)
		k.orphaned = true
		k.finish()
	case !k.record.Wanted:
	case k.record.Boot != k.d.boot:
		k.record.Wanted = false
		k.record.Why, k.record.Hint = "the machine was started anew", "to start what was saved: muster resurrect"
		k.save()
	default:
		k.d.log.Info("no master found", "app", k.id)
		if len(k.record.Launch.Spec.DependsOn) == 0 {
			k.record.Masters++
		}
		k.orphaned = true
		k.want()
	}
	k.show()
}

// keepFor has the master give its descriptors to this daemon: those that the last one kept went with it.
func (k *keeper) keepFor(m *master) {
	err := k.openStore()
	if err == nil {
		c := client.New(m.socket)
		defer c.Close()
		ctx, cancel := context.WithTimeout(k.d.ctx, answerTime)
		defer cancel()
		err = c.Keep(ctx, k.store.Path())
	}
	if err != nil {
		k.d.log.Warn("the workers of an app would be lost with its master", "app", k.id, "error", err)
	}
}

// keeper finds the keeper of an app.
func (d *Daemon) keeper(name string) (*keeper, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.keepers[name]
	if !ok {
		return nil, &api.Error{Kind: api.KindNotFound, Message: "no app is named " + name, Hint: "to see what there is: muster list"}
	}
	return k, nil
}

// keeperFor finds the keeper of an app, or makes one.
func (d *Daemon) keeperFor(name string) (k *keeper, isNew bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.keepers[name]; ok {
		return k, false
	}
	d.lastID++
	k = d.newKeeper(record{ID: d.lastID, Launch: api.Launch{Spec: specNamed(name)}})
	d.keepers[name] = k
	d.loops.Go(k.run) // ends at close
	return k, true
}

// all are the keepers, the oldest first.
func (d *Daemon) all() []*keeper {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]*keeper, 0, len(d.keepers))
	for _, k := range d.keepers {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b *keeper) int { return cmp.Compare(a.entry().ID, b.entry().ID) })
	return all
}

// drop forgets a keeper, from its own loop, which ends soon after.
func (d *Daemon) drop(k *keeper) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keepers[k.id] == k {
		delete(d.keepers, k.id)
	}
	k.end()
	d.somethingChanged()
}

// stopAll ends every app, those that depend on others before these, and waits for that; a second signal makes it short.
func (d *Daemon) stopAll(signals <-chan os.Signal) {
	hurry := make(chan struct{})
	over := make(chan struct{})
	go func() { // ends with over
		select {
		case <-signals:
			close(hurry)
		case <-over:
		}
	}()
	var wg sync.WaitGroup
	for _, k := range d.all() {
		wg.Go(func() { k.stopFor(hurry) })
	}
	wg.Wait()
	close(over)
}

// stopFor stops the app for the end of the daemon, and waits for its master's end.
func (k *keeper) stopFor(hurry <-chan struct{}) {
	if err := k.awaitAbove(k.d.ctx, func(string) bool { return true }); err != nil {
		k.d.log.Warn("app stopped before those that depend on it", "app", k.id, "error", err)
	}
	ended := k.stopAndWatch(false)
	select {
	case <-ended:
		return
	case <-hurry:
	}
	<-k.stopAndWatch(true)
}

// stopAndWatch asks for the stop and returns what is closed when no master runs.
func (k *keeper) stopAndWatch(now bool) <-chan struct{} {
	ended := make(chan struct{})
	k.tell(func() {
		if _, err := k.stop(now); err != nil {
			k.d.log.Error("app not stopped", "app", k.id, "error", err)
			close(ended)
			return
		}
		if k.master == nil && k.state != api.EntryStarting {
			close(ended)
			return
		}
		k.idle = append(k.idle, ended)
	})
	return ended
}

// close gives everything back. Masters go on.
func (d *Daemon) close() {
	d.halt()
	if d.spawner != nil {
		d.spawner.Close()
	}
	d.run.Close()
}

// halt ends everything that runs in this process. It may be called again.
func (d *Daemon) halt() {
	d.halted.Do(func() {
		close(d.closing)
		d.feed.close()
		if d.server != nil {
			d.server.Halt(time.Second)
		}
		for _, k := range d.all() {
			k.end()
		}
		d.loops.Wait()
		if d.reaper != nil {
			d.reaper.Close()
		}
	})
}

// errEnding says that the daemon is about to end.
var errEnding = &api.Error{Kind: api.KindUnavailable, Message: "the daemon is ending"}

// ask runs f in the loop of the keeper, and waits for its answer.
func ask[T any](ctx context.Context, k *keeper, f func() (T, error)) (T, error) {
	var answer T
	err := error(errEnding)
	if !k.do(ctx, func() { answer, err = f() }) {
		var none T
		return none, errors.Join(ctx.Err(), errEnding)
	}
	return answer, err
}
