package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/apiserver"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/fdstore"
	"github.com/musterd/muster/internal/order"
	"github.com/musterd/muster/internal/proc"
)

// keeper owns everything about one app. Only its loop touches it, except for what stands from id on.
type keeper struct {
	d     *Daemon
	inbox chan func() // to the loop
	quit  chan struct{}
	ended chan struct{} // closed when the loop has ended

	record    record
	state     api.EntryState
	since     time.Time
	master    *master        // nil: none runs
	store     *fdstore.Store // nil: not opened yet; closed by run
	exits     chan proc.Exit
	link      *link
	again     bool                   // start the next master when this one has ended
	finishes  int                    // masters in a row that were started to finish a stop
	orphaned  bool                   // an earlier daemon may have started a master that is only about to answer
	gone      bool                   // the app is to be forgotten when its master has ended
	pending   map[string]api.Launch  // of a reload that has not ended yet, by its operation
	waiters   []chan api.StartAnswer // for the start under way
	failed    []chan error           // the same, should it fail
	retry     *time.Timer
	retryAt   time.Time
	rewrite   *time.Timer     // of what could not be written down
	unwritten string          // why; empty: it is written
	crashes   int             // in a row
	idle      []chan struct{} // to close when no master runs
	waits     []order.Wait    // of an app that is held: for what, as far as it is known
	watchers  []chan struct{} // to close when the state, or the reason for it, becomes another
	over      sync.Once       // closes quit

	id     string      // the app's name, which never changes
	stale  atomic.Bool // something happened since the master was asked last
	mu     sync.Mutex
	view   api.Entry // as the API tells it
	coming app.Spec  // what it is, or becomes by the reload under way
	app    *api.App  // the last that the master told
	silent string    // why there is none

	asked    uint64 // questions how the app is, by now
	answered uint64 // the last of them that was answered
}

// Bounds of the pause before another master is started where one ended as it should not.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 30 * time.Second
	wellAfter  = 10 * time.Second // a master that ran for so long did not fail at its start
)

func (d *Daemon) newKeeper(r record) *keeper {
	k := &keeper{
		d: d, id: r.Launch.Spec.Name, record: r, state: api.EntryStopped, since: time.Now(), inbox: make(chan func(), 16), quit: make(chan struct{}),
		ended: make(chan struct{}), pending: map[string]api.Launch{}, retry: time.NewTimer(time.Hour), rewrite: time.NewTimer(time.Hour),
	}
	k.retry.Stop()
	k.rewrite.Stop()
	if r.Failed {
		k.state = api.EntryFailed
	}
	k.show()
	return k
}

// run is the loop. It ends at close; a master goes on.
func (k *keeper) run() {
	defer close(k.ended)
	defer k.closeStore()
	defer k.closeLink()
	for {
		select {
		case do := <-k.inbox:
			do()
		case exit := <-k.exits:
			k.masterEnded(exit)
		case <-k.retry.C:
			if k.state == api.EntryWaiting {
				k.begin()
			}
		case <-k.rewrite.C:
			k.save()
		case <-k.quit:
			return
		}
		k.show()
		k.tellIdle()
	}
}

// end ends the loop; a master goes on.
func (k *keeper) end() { k.over.Do(func() { close(k.quit) }) }

// tellIdle tells who waits for it that no master runs.
func (k *keeper) tellIdle() {
	if k.master != nil || k.state == api.EntryStarting {
		return
	}
	for _, c := range k.idle {
		close(c)
	}
	k.idle = nil
}

// do runs f in the loop and waits for it. It is false when the loop has ended.
func (k *keeper) do(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	select {
	case k.inbox <- func() { f(); close(done) }:
	case <-k.ended:
		return false
	case <-ctx.Done():
		return false
	}
	select {
	case <-done:
		return true
	case <-k.ended:
		return false
	}
}

// tell runs f in the loop some time.
func (k *keeper) tell(f func()) {
	select {
	case k.inbox <- f:
	case <-k.ended:
	}
}

func (k *keeper) name() string { return k.id }

// become changes the state, and tells who watches.
func (k *keeper) become(state api.EntryState, why, hint string) {
	if k.state != state {
		k.since = time.Now()
	}
	changed := k.state != state
	other := changed || k.record.Why != why
	k.state, k.record.Why, k.record.Hint = state, why, hint
	k.show()
	if other {
		k.tellWatchers()
		k.d.somethingChanged()
	}
	if changed {
		e := api.Event{At: time.Now(), Kind: api.EventMaster, Name: k.id, Slot: api.NoSlot, Why: string(state)}
		if k.master != nil {
			e.PID = k.master.process.PID()
		}
		k.d.feed.publish(e)
	}
}

func (k *keeper) tellWatchers() {
	for _, c := range k.watchers {
		close(c)
	}
	k.watchers = nil
}

// show makes the present state what the API tells.
func (k *keeper) show() {
	e := api.Entry{
		ID: k.record.ID, Name: k.name(), State: k.state, Since: k.since, Why: k.record.Why, Hint: k.record.Hint, Masters: k.record.Masters,
		Completed: k.record.Completed, Unwritten: k.unwritten,
	}
	if k.state == api.EntryHeld {
		e.Waits = waitsOf(k.waits)
	}
	if k.state == api.EntryWaiting {
		e.RetryAt = k.retryAt
	}
	if k.master != nil {
		e.PID, e.Socket = k.master.process.PID(), k.master.socket
	}
	launch := k.record.Launch
	e.Launch = &launch
	coming := launch.Spec
	for _, l := range k.pending { // of several, the last one wins in the end, and any will do until then
		coming = l.Spec
	}
	coming.Name = k.id
	k.mu.Lock()
	k.view, k.coming = e, coming
	k.mu.Unlock()
}

// entry is the present state. It may be called from anywhere.
func (k *keeper) entry() api.Entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.view
	if e.PID != 0 {
		e.App, e.Silent = k.app, k.silent
	}
	return e
}

// save writes down what shall run.
func (k *keeper) save() {
	k.record.Version, k.record.Boot, k.record.Failed = fileVersion, k.d.boot, k.state == api.EntryFailed
	err := writeFile(k.d.recordPath(k.name()), k.record)
	if err == nil {
		if k.unwritten != "" {
			k.d.log.Info("app written down", "app", k.name())
		}
		k.unwritten = ""
		k.rewrite.Stop()
		return
	}
	if k.unwritten == "" {
		k.d.log.Error("app not written down: another daemon would not know it", "app", k.name(), "error", err)
	}
	k.unwritten = err.Error()
	k.rewrite.Reset(rewriteAfter)
}

// rewriteAfter is how long after a failure an app is written down again: the disk may have been full.
const rewriteAfter = 5 * time.Second

// start makes the app run as it says. Exactly one of the channels will be answered, each of which has room for that.
func (k *keeper) start(req api.StartRequest, answer chan api.StartAnswer, failed chan error) {
	if len(req.Spec.Command) == 0 { // its file could not be read
		failed <- conflict(k.record.Why, k.record.Hint)
		return
	}
	switch k.state {
	case api.EntryRunning:
		k.change(req, answer, failed)
	case api.EntryStarting:
		if k.finishes > 0 {
			k.startAfterStop(req, answer, failed)
			return
		}
		if len(changedFields(k.record.Launch, req)) > 0 {
			failed <- conflict(k.name()+" is being started as something else", "try again when it runs")
			return
		}
		k.waiters, k.failed = append(k.waiters, answer), append(k.failed, failed)
	case api.EntryStopping:
		k.startAfterStop(req, answer, failed)
	default:
		k.record.Launch, k.record.Scaled = req.Launch, k.keptScale(req)
		k.waiters, k.failed = append(k.waiters, answer), append(k.failed, failed)
		k.want()
	}
}

// startAfterStop has the app started when it has been stopped.
func (k *keeper) startAfterStop(req api.StartRequest, answer chan api.StartAnswer, failed chan error) {
	k.record.Launch, k.record.Scaled, k.again = req.Launch, "", true
	k.waiters, k.failed = append(k.waiters, answer), append(k.failed, failed)
}

// keptScale is the number of workers that a scale has left, if the start does not ask for another than before.
func (k *keeper) keptScale(req api.StartRequest) string {
	if req.Spec.Workers != k.record.Launch.Spec.Workers {
		return ""
	}
	return k.record.Scaled
}

func conflict(message, hint string) error {
	return &api.Error{Kind: api.KindConflict, Message: message, Hint: hint}
}

// begin starts a master, beside the loop.
func (k *keeper) begin() {
	k.retry.Stop()
	k.again, k.record.Wanted, k.record.Completed, k.finishes = false, true, false, 0
	k.launch()
}

// mostFinishes bounds the masters in a row that are started to finish a stop, each of which was killed.
const mostFinishes = 5

// finish starts a master that goes on with a stop in the middle of which the last one was killed: workers that it has left must not stay.
func (k *keeper) finish() {
	k.record.Wanted = false
	k.finishes++
	k.launch()
}

// launch starts a master, beside the loop.
func (k *keeper) launch() {
	k.become(api.EntryStarting, "", "")
	launch := k.record.Launch
	if k.record.Scaled != "" {
		launch.Spec.Workers = k.record.Scaled
	}
	if err := k.openStore(); err != nil {
		go k.tell(func() { k.begun(nil, err) }) // ends with the loop at the latest
		return
	}
	finish, orphaned := k.finishes > 0, k.orphaned
	go func() { // ends within twice startTime
		m, err := k.startMaster(launch, finish, orphaned)
		k.tell(func() { k.begun(m, err) })
	}()
}

// openStore makes the place for what the masters of this app leave.
func (k *keeper) openStore() (err error) {
	if k.store == nil {
		k.store, err = fdstore.New(filepath.Join(k.d.run.Private(), "s"+strconv.Itoa(k.record.ID)), fdstore.DefaultMax, nil)
	}
	return err
}

// startMaster starts a master that goes on with what the last one has left; where that fails, a new one.
func (k *keeper) startMaster(l api.Launch, finish, orphaned bool) (*master, error) {
	if orphaned {
		if m := awaitMaster(k.d.ctx, k.id); m != nil {
			k.d.log.Info("master found", "app", k.id, "pid", m.process.PID())
			k.keepFor(m)
			if finish {
				_ = m.process.Signal(unix.SIGTERM) // it may have ended
			}
			return m, nil
		}
	}
	if err := k.store.Settle(k.d.ctx); err != nil {
		return nil, err
	}
	left := len(k.store.Kept()) > 0
	m, err := k.d.startMaster(k.d.ctx, l, k.store, finish)
	if err == nil || !left {
		return m, err
	}
	k.d.log.Error("the workers of a master that was killed are lost", "app", k.id, "error", err)
	endKept(k.store)
	return k.d.startMaster(k.d.ctx, l, k.store, finish)
}

// begun notes what the start of a master has come to.
func (k *keeper) begun(m *master, err error) {
	if k.finishes > 0 {
		k.begunToFinish(m, err)
		return
	}
	waiters, failed := k.waiters, k.failed
	k.waiters, k.failed = nil, nil
	if err != nil {
		k.notBegun(err, failed)
		return
	}
	k.hold(m)
	k.save()
	for _, w := range waiters {
		w <- api.StartAnswer{Outcome: api.StartedNew, Entry: k.entryNow()}
	}
	k.d.log.Info("master started", "app", k.name(), "pid", m.process.PID())
	if !k.record.Wanted { // it was told to stop meanwhile
		_ = m.process.Signal(unix.SIGTERM)
		k.become(api.EntryStopping, "", "")
	}
}

// begunToFinish notes what the start of a master has come to that finishes a stop.
func (k *keeper) begunToFinish(m *master, err error) {
	if err == nil {
		k.hold(m)
		k.become(api.EntryStopping, "", "")
		return
	}
	k.d.log.Error("what a master has left could not be stopped in order", "app", k.id, "error", err)
	k.afterStop()
}

// afterStop is what follows on the end of an app that was to be stopped.
func (k *keeper) afterStop() {
	k.finishes = 0
	switch {
	case k.gone:
		k.forget()
	case k.again:
		k.want()
	default:
		k.become(api.EntryStopped, "", "")
		k.save()
		k.failWaiters()
	}
}

func (k *keeper) entryNow() api.Entry {
	k.show()
	return k.entry()
}

// notBegun gives up where somebody waits for the start, who is told, and else tries again later.
func (k *keeper) notBegun(err error, failed []chan error) {
	told := apiserver.ErrorOf(err)
	k.d.log.Error("master not started", "app", k.name(), "error", err)
	for _, f := range failed {
		f <- told
	}
	switch {
	case !k.record.Wanted:
		k.become(api.EntryStopped, "", "")
	case len(failed) > 0:
		k.record.Wanted = false
		k.become(api.EntryFailed, told.Message, told.Hint)
	default:
		k.pause(told.Message, told.Hint)
	}
	k.save()
}

// hold takes a master over that runs.
func (k *keeper) hold(m *master) {
	k.master, k.exits, k.orphaned = m, make(chan proc.Exit, 1), false
	exits := k.exits
	go func() { exits <- m.process.Wait() }() // ends with the process
	k.forgetApp()
	k.become(api.EntryRunning, "", "")
	k.link = k.follow(m)
}

func (k *keeper) closeLink() {
	if k.link != nil {
		k.link.close()
		k.link = nil
	}
}

func (k *keeper) closeStore() {
	if k.store != nil {
		k.store.Close()
		k.store = nil
	}
}

// masterEnded decides what follows on the end of a master.
func (k *keeper) masterEnded(exit proc.Exit) {
	m, l := k.master, k.link
	l.finish()
	k.link = nil
	gaveUp, succeeded := l.gaveUp.Load(), l.succeeded.Load()
	_ = m.process.Close()
	k.master, k.exits = nil, nil
	clear(k.pending)
	k.d.log.Info("master ended", "app", k.name(), "exit", exit.String())
	clean := isClean(k.name(), exit)
	killed := !clean && !gaveUp && (!exit.Known || exit.Signal != 0 || exit.Code == exitPanic)
	if !killed && k.store != nil {
		k.store.Clear() // what it left, it left in order
	}
	switch {
	case killed && !k.record.Wanted && k.finishes < mostFinishes:
		k.finish()
		return
	case k.gone || k.again || k.finishes > 0:
		k.afterStop()
		return
	case clean || !k.record.Wanted:
		k.record.Wanted, k.crashes, k.record.Completed = false, 0, clean && k.isOnce() && (exit.Known || succeeded)
		k.become(api.EntryStopped, "", "")
	case !killed:
		k.record.Wanted = false
		why := "it gave up, " + exit.String()
		if k.isOnce() {
			why = exit.String()
		}
		k.become(api.EntryFailed, why, "see muster logs "+k.name()+"; then muster start "+k.name())
	default:
		k.replace(m, exit)
	}
	k.save()
	k.failWaiters()
}

// failWaiters tells those who asked for a start which there will not be.
func (k *keeper) failWaiters() {
	for _, f := range k.failed {
		f <- conflict(k.name()+" has ended", "")
	}
	k.waiters, k.failed = nil, nil
}

// isOnce tells whether the app is a job that runs once.
func (k *keeper) isOnce() bool {
	return k.record.Launch.Spec.Job && k.record.Launch.Spec.Schedule == ""
}

// exitPanic is the exit code of a Go program that panics.
const exitPanic = 2

// replace starts another master where one was killed: at once if it had run well.
func (k *keeper) replace(m *master, exit proc.Exit) {
	k.record.Masters++
	if time.Since(m.since) >= wellAfter {
		k.crashes = 0
	}
	if k.crashes == 0 {
		k.crashes++
		k.begin()
		return
	}
	k.pause("its master ended, "+exit.String(), "see muster logs "+k.name())
}

// pause tries again after a while, which grows.
func (k *keeper) pause(why, hint string) {
	d := lastPause
	if k.crashes < 16 {
		d = min(lastPause, firstPause<<k.crashes)
	}
	k.crashes++
	k.retryAt = time.Now().Add(d)
	k.retry.Reset(d)
	k.become(api.EntryWaiting, why, hint)
}

// change lets an app that runs become what is asked for.
func (k *keeper) change(req api.StartRequest, answer chan api.StartAnswer, failed chan error) {
	fields := changedFields(k.record.Launch, req)
	if len(fields) == 0 {
		answer <- api.StartAnswer{Outcome: api.StartedUnchanged, Entry: k.entryNow()}
		return
	}
	m := k.master
	go func() { // ends with the master's answer, which is bounded
		op, err := reload(k.d.ctx, m.socket, req.Launch)
		k.tell(func() {
			if err != nil {
				failed <- apiserver.ErrorOf(err)
				return
			}
			k.pending[op.ID] = req.Launch
			k.settle(op)
			answer <- api.StartAnswer{Outcome: api.StartedReload, Changed: fields, Entry: k.entryNow(), Operation: &op}
		})
	}()
}

func reload(ctx context.Context, socket string, l api.Launch) (api.Operation, error) {
	c := client.New(socket)
	defer c.Close()
	return c.ReloadAs(ctx, l)
}

// settle notes how a reload to another spec has ended: the app is what it runs as.
func (k *keeper) settle(op api.Operation) {
	launch, ours := k.pending[op.ID]
	if !ours || op.State == api.OperationRunning {
		return
	}
	delete(k.pending, op.ID)
	if op.State == api.OperationDone {
		if launch.Spec.Workers != k.record.Launch.Spec.Workers {
			k.record.Scaled = ""
		}
		k.record.Launch = launch
		k.save()
	}
}

// stop ends the app, or the tries to start it. The operation is nil when no master runs.
func (k *keeper) stop(now bool) (*api.Operation, error) {
	if k.master == nil {
		k.retry.Stop()
		k.record.Wanted, k.again = false, false
		if k.state != api.EntryStarting { // else begun will see it
			k.become(api.EntryStopped, "", "")
			k.failWaiters()
		}
		k.save()
		return nil, nil
	}
	wanted := k.record.Wanted
	k.record.Wanted = false
	k.save() // before anything happens: the next daemon goes on with it
	c := client.New(k.master.socket)
	defer c.Close()
	ctx, cancel := context.WithTimeout(k.d.ctx, answerTime)
	defer cancel()
	op, err := c.Stop(ctx, now)
	if err != nil { // it may be about to end
		err = k.master.process.Signal(unix.SIGTERM)
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		k.record.Wanted = wanted
		k.save()
		return nil, err
	}
	k.again = false
	k.become(api.EntryStopping, "", "")
	return &op, nil
}

// answerTime bounds the answer of a master.
const answerTime = 10 * time.Second

// restart stops the app and starts it again.
func (k *keeper) restart(now bool, launch *api.Launch, answer chan api.StartAnswer, failed chan error) {
	if launch != nil {
		k.record.Launch = *launch
	}
	if k.master == nil {
		k.start(api.StartRequest{Launch: k.record.Launch}, answer, failed)
		return
	}
	if _, err := k.stop(now); err != nil {
		failed <- err
		return
	}
	k.again = true
	k.waiters, k.failed = append(k.waiters, answer), append(k.failed, failed)
}

// remove forgets the app, at the end of its master.
func (k *keeper) remove() error {
	if k.master != nil && k.state != api.EntryStopping || k.state == api.EntryStarting {
		return conflict(k.name()+" runs", "stop it first: muster stop "+k.name())
	}
	if k.master != nil {
		k.gone = true
		return nil
	}
	k.forget()
	return nil
}

func (k *keeper) forget() {
	k.rewrite.Stop()
	if err := os.Remove(k.d.recordPath(k.name())); err != nil && !errors.Is(err, os.ErrNotExist) {
		k.d.log.Error("app not forgotten", "app", k.name(), "error", err)
	}
	k.d.drop(k)
}

// changedFields names the fields of the spec that differ, as they are written in a file. The directory and, if that is asked for, the
// environment count as fields.
func changedFields(from api.Launch, to api.StartRequest) []string {
	var names []string
	a, b := reflect.ValueOf(from.Spec), reflect.ValueOf(to.Spec)
	for i := range a.NumField() {
		if !bothEmpty(a.Field(i), b.Field(i)) && !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			names = append(names, fieldName(a.Type().Field(i)))
		}
	}
	if from.Base != to.Base {
		names = append(names, "directory")
	}
	if to.UpdateEnv && !sameEnv(from.Env, to.Env) {
		names = append(names, "environment")
	}
	return names
}

func bothEmpty(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Slice, reflect.Map:
		return a.Len() == 0 && b.Len() == 0
	default:
		return false
	}
}

func fieldName(f reflect.StructField) string {
	name := f.Tag.Get("json")
	for i := range name {
		if name[i] == ',' {
			return name[:i]
		}
	}
	return name
}

func sameEnv(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// scaled notes how many workers a scale has left.
func (k *keeper) scaled(n int) {
	if text := strconv.Itoa(n); text != k.record.Scaled {
		k.record.Scaled = text
		k.save()
	}
}

// checkName refuses what cannot be the name of an app, and so not of a file.
func checkName(l api.Launch) error {
	if l.Spec.Name == "" {
		return &api.Error{Kind: api.KindUsage, Message: "the app has no name"}
	}
	_, err := app.New(l.Spec)
	if err != nil {
		return fmt.Errorf("start %s: %w", l.Spec.Name, err)
	}
	return nil
}
