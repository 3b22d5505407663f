package daemon

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/order"
)

// conduct is the one goroutine that lets apps begin which have to wait for others. It ends at close. It owns nothing: each time that
// something may have changed it reads how far all apps are, asks package order, and tells the keepers.
func (d *Daemon) conduct() {
	for {
		select {
		case <-d.changed:
			d.beginInOrder()
		case <-d.closing:
			return
		}
	}
}

// somethingChanged has the conductor look again. It never waits.
func (d *Daemon) somethingChanged() {
	select {
	case d.changed <- struct{}{}:
	default: // it will look anyway
	}
}

func (d *Daemon) beginInOrder() {
	all := d.all()
	if !slices.ContainsFunc(all, func(k *keeper) bool { return k.entry().State == api.EntryHeld }) {
		return
	}
	d.askAgain(all)
	held := partsOf(all).Held()
	for _, k := range all {
		if waits, is := held[k.id]; is && k.entry().State == api.EntryHeld {
			k.tell(func() { k.decided(waits) })
		}
	}
}

// askAgain asks the masters of apps that others wait for, of whose state something is new. It does not wait for the answers, which are a change
// themselves: one that hangs must not keep others waiting.
func (d *Daemon) askAgain(all []*keeper) {
	for _, k := range all {
		if !k.stale.Load() || k.entry().Socket == "" {
			continue
		}
		go func() { // ends within answerTime
			ctx, cancel := context.WithTimeout(d.ctx, answerTime)
			defer cancel()
			k.refresh(ctx)
			if k.stale.Load() { // it has not answered, or more has happened
				_ = pause(d.ctx, linkPause)
			}
			d.somethingChanged()
		}()
	}
}

// pause waits for so long, or for the end of ctx.
func pause(ctx context.Context, long time.Duration) error {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// partsOf is how far all apps are.
func partsOf(all []*keeper) order.Parts {
	parts := order.Parts{}
	for _, k := range all {
		parts[k.id] = partOf(k.entry())
	}
	return parts
}

func partOf(e api.Entry) order.Part {
	p := order.Part{Spec: e.Launch.Spec, Wanted: e.State != api.EntryStopped && e.State != api.EntryFailed}
	p.Spec.Name = e.Name
	p.Reached.Completed = e.Completed
	switch e.State {
	case api.EntryFailed:
		p.Failed = "failed: " + e.Why
	case api.EntryWaiting:
		p.Failed = "failed: " + e.Why
	case api.EntryStarting, api.EntryStopping, api.EntryRunning:
		p.Runs = true
	case api.EntryStopped, api.EntryHeld:
	}
	if e.State == api.EntryRunning && e.App != nil {
		p.Failed = trouble(e.App)
		p.Reached.Started = hasWorkers(e.App)
		p.Reached.Ready = e.App.State == api.AppServing
	}
	return p
}

func hasWorkers(a *api.App) bool {
	if a.Schedule != nil { // there is none most of the time
		return true
	}
	return slices.ContainsFunc(a.Slots, func(s api.Slot) bool {
		return slices.ContainsFunc(s.Workers, func(w api.Worker) bool { return w.PID != 0 })
	})
}

// trouble is why an app that runs will hardly come to serve; empty: it may.
func trouble(a *api.App) string {
	backsOff := a.HoldUntil.After(time.Now())
	for _, s := range a.Slots {
		if len(s.Workers) > 0 && !s.CrashLooping || len(s.Exits) == 0 {
			continue
		}
		if s.GaveUp || s.CrashLooping || backsOff {
			return "failed: " + s.Exits[len(s.Exits)-1].Why
		}
	}
	return ""
}

// want begins the app, or holds it until those that it depends on have come far enough, which the conductor decides.
func (k *keeper) want() {
	if len(k.record.Launch.Spec.DependsOn) == 0 {
		k.begin()
		return
	}
	k.retry.Stop()
	k.again, k.record.Wanted, k.record.Completed, k.waits = false, true, false, nil
	k.become(api.EntryHeld, "", "")
	k.save()
}

// decided begins the app if it waits for nothing any more, and else says what it waits for.
func (k *keeper) decided(waits []order.Wait) {
	if k.state != api.EntryHeld {
		return
	}
	if len(waits) == 0 {
		k.waits = nil
		k.begin()
		return
	}
	if k.waits == nil || !slices.Equal(k.waits, waits) {
		k.d.log.Info("app held", "app", k.id, "reason", order.Text(waits))
	}
	k.waits = waits
	k.become(api.EntryHeld, order.Text(waits), "muster explain "+k.id+" says more; what it waits for is started by muster start")
	waiters := k.waiters
	k.waiters, k.failed = nil, nil
	for _, w := range waiters {
		w <- api.StartAnswer{Outcome: api.StartedHeld, Entry: k.entryNow()}
	}
}

// waitsOf are the waits in the types of the API.
func waitsOf(waits []order.Wait) []api.Wait {
	var all []api.Wait
	for _, w := range waits {
		all = append(all, api.Wait(w))
	}
	return all
}

// checkNeeds refuses an app that depends on one that is not known, on what that cannot reach, or in a circle on itself.
func (d *Daemon) checkNeeds(s app.Spec) error {
	others := map[string]app.Spec{}
	for _, k := range d.all() {
		k.mu.Lock()
		others[k.id] = k.coming
		k.mu.Unlock()
	}
	return order.CheckOne(s, others)
}

// awaitAbove waits until no app runs any more that depends on this one and is stopped with it.
func (k *keeper) awaitAbove(ctx context.Context, with func(name string) bool) error {
	for {
		above := partsOf(k.d.all()).Above(k.id, with)
		if len(above) == 0 {
			return nil
		}
		other, err := k.d.keeper(above[0])
		if err != nil {
			continue // it has been forgotten just now
		}
		idle := make(chan struct{})
		other.do(ctx, func() { other.idle = append(other.idle, idle) })
		select {
		case <-idle:
		case <-other.ended:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), errEnding)
		}
	}
}

// awaitDecision waits for as long as the request says while the app is held for what the request says, or is being started.
func (k *keeper) awaitDecision(r *http.Request) error {
	wait, asked, err := apiserver.Wait(r, api.ParamHeld)
	if err != nil || !asked {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	for {
		news := make(chan struct{})
		k.do(ctx, func() { k.watchers = append(k.watchers, news) })
		if e := k.entry(); e.State != api.EntryHeld && e.State != api.EntryStarting || e.Why != r.URL.Query().Get(api.ParamWhy) {
			return nil
		}
		select {
		case <-news:
		case <-k.ended:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}
