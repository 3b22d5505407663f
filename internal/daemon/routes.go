package daemon

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
	"github.com/musterd/muster/internal/app"
)

// routes are the API.
var routes = []apiserver.Route[*Daemon]{
	apiserver.On(http.MethodGet, api.PathHealth, apiserver.Anyone, (*Daemon).getHealth),
	apiserver.On(http.MethodGet, api.PathDaemon, apiserver.Owner, (*Daemon).getDaemon),
	apiserver.On(http.MethodPost, api.PathDaemonStop, apiserver.Owner, (*Daemon).postStopDaemon),
	apiserver.On(http.MethodPost, api.PathDaemonUpgrade, apiserver.Owner, (*Daemon).postUpgrade),
	apiserver.On(http.MethodGet, api.PathEvents, apiserver.Owner, (*Daemon).getEvents),
	apiserver.On(http.MethodGet, api.PathApps, apiserver.Owner, (*Daemon).getApps),
	apiserver.On(http.MethodPost, api.PathApps, apiserver.Owner, (*Daemon).postApps),
	apiserver.On(http.MethodGet, api.PathEntry, apiserver.Owner, (*Daemon).getEntry),
	apiserver.On(http.MethodDelete, api.PathEntry, apiserver.Owner, (*Daemon).deleteEntry),
	apiserver.On(http.MethodPost, api.PathEntryStart, apiserver.Owner, (*Daemon).postStart),
	apiserver.On(http.MethodPost, api.PathEntryStop, apiserver.Owner, (*Daemon).postStop),
	apiserver.On(http.MethodPost, api.PathRestart, apiserver.Owner, (*Daemon).postRestart),
	apiserver.On(http.MethodPost, api.PathEntryReset, apiserver.Owner, (*Daemon).postReset),
	apiserver.On(http.MethodDelete, api.PathSave, apiserver.Owner, (*Daemon).deleteSave),
	apiserver.On(http.MethodPost, api.PathSave, apiserver.Owner, (*Daemon).postSave),
	apiserver.On(http.MethodPost, api.PathResurrect, apiserver.Owner, (*Daemon).postResurrect),
}

// alive is the answer of the endpoint for supervisors.
type alive struct {
	Status string `json:"status"`
}

func (d *Daemon) getHealth(http.ResponseWriter, *http.Request) (any, error) { return alive{"ok"}, nil }

func (d *Daemon) getDaemon(http.ResponseWriter, *http.Request) (any, error) {
	return api.Daemon{PID: os.Getpid(), Version: d.cfg.Version, Started: d.started, State: d.state, Apps: len(d.all()), Upgrades: d.upgrades}, nil
}

func (d *Daemon) postStopDaemon(_ http.ResponseWriter, r *http.Request) (any, error) {
	var body api.DaemonStopRequest
	if err := apiserver.Decode(r, &body); err != nil {
		return nil, err
	}
	how := endAll
	if body.LeaveApps {
		how = endAlone
	}
	select {
	case d.ends <- how:
	default: // it ends already
	}
	return d.getDaemon(nil, nil)
}

func (d *Daemon) getEvents(out http.ResponseWriter, r *http.Request) (any, error) {
	text := r.URL.Query().Get(api.ParamSince)
	since, err := strconv.ParseUint(text, 10, 64)
	if text != "" && err != nil {
		return nil, &api.Error{Kind: api.KindUsage, Message: strconv.Quote(text) + " is no revision"}
	}
	first, events := d.feed.watch(since, text != "", func() []api.Event { return d.snapshots(r.Context()) })
	defer d.feed.unwatch(events)
	apiserver.Stream(out, r, first, events)
	return nil, nil
}

// snapshots are the present, an event for each app whose master answers.
func (d *Daemon) snapshots(ctx context.Context) []api.Event {
	events := []api.Event{}
	for _, e := range d.entries(ctx, true, false) {
		if e.App != nil {
			events = append(events, api.Event{At: time.Now(), Kind: api.EventSnapshot, Name: e.Name, Slot: api.NoSlot, App: e.App})
		}
	}
	return events
}

// entries are all apps, the oldest first.
func (d *Daemon) entries(ctx context.Context, apps, env bool) []api.Entry {
	all := d.all()
	if apps {
		d.refresh(ctx, all)
	}
	entries := make([]api.Entry, len(all))
	for i, k := range all {
		entries[i] = shown(k.entry(), apps, env)
	}
	return entries
}

// refresh asks all masters at once. Whoever asks has perhaps just been told by a master of what its event has yet to tell here.
func (d *Daemon) refresh(ctx context.Context, all []*keeper) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, k := range all {
		wg.Go(func() { k.refresh(ctx) })
	}
	wg.Wait()
}

// shown leaves out what was not asked for.
func shown(e api.Entry, apps, env bool) api.Entry {
	if !apps {
		e.App = nil
	}
	if e.Launch != nil && !env {
		l := *e.Launch
		l.Env = nil
		e.Launch = &l
	}
	return e
}

func with(r *http.Request) (apps, env bool) {
	return apiserver.Wants(r, api.WithApps), apiserver.Wants(r, api.WithEnv)
}

func (d *Daemon) getApps(_ http.ResponseWriter, r *http.Request) (any, error) {
	apps, env := with(r)
	return d.measured(d.entries(r.Context(), apps, env)), nil
}

func (d *Daemon) getEntry(_ http.ResponseWriter, r *http.Request) (any, error) {
	k, err := d.keeper(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(k.awaitIdle(r), k.awaitDecision(r)); err != nil {
		return nil, err
	}
	apps, env := with(r)
	if apps {
		d.refresh(r.Context(), []*keeper{k})
	}
	return d.measured([]api.Entry{shown(k.entry(), apps, env)})[0], nil
}

// measured puts into the entries what workers take now: what masters told may be old.
func (d *Daemon) measured(entries []api.Entry) []api.Entry {
	var apps []api.App
	for _, e := range entries {
		if e.App != nil {
			apps = append(apps, *e.App)
		}
	}
	if len(apps) == 0 {
		return entries
	}
	apps = d.usage.Fill(time.Now(), apps)
	for i := range entries {
		if entries[i].App != nil {
			entries[i].App, apps = &apps[0], apps[1:]
		}
	}
	return entries
}

// awaitIdle waits until no master runs, for as long as the request says.
func (k *keeper) awaitIdle(r *http.Request) error {
	wait, asked, err := apiserver.Wait(r, api.ParamIdle)
	if err != nil || !asked {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	idle := make(chan struct{})
	k.do(ctx, func() { k.idle = append(k.idle, idle) })
	select {
	case <-idle:
	case <-k.ended:
	case <-ctx.Done():
	}
	return nil
}

func (d *Daemon) postApps(_ http.ResponseWriter, r *http.Request) (any, error) {
	var body api.StartRequest
	if err := apiserver.Decode(r, &body); err != nil {
		return nil, err
	}
	if err := checkName(body.Launch); err != nil {
		return nil, err
	}
	if err := d.checkNeeds(body.Spec); err != nil {
		return nil, err
	}
	k, isNew := d.keeperFor(body.Spec.Name)
	answer, err := k.awaitStart(func(a chan api.StartAnswer, f chan error) { k.start(body, a, f) })
	if err != nil && isNew && !body.Keep { // nothing of it stays behind
		k.do(d.ctx, func() {
			if k.master == nil && k.state == api.EntryFailed {
				k.forget()
			}
		})
	}
	return answered(answer, err)
}

// awaitStart asks for a start in the keeper's loop and waits for its outcome.
func (k *keeper) awaitStart(begin func(chan api.StartAnswer, chan error)) (api.StartAnswer, error) {
	answer, failed := make(chan api.StartAnswer, 1), make(chan error, 1)
	if !k.do(k.d.ctx, func() { begin(answer, failed) }) {
		return api.StartAnswer{}, errEnding
	}
	select {
	case a := <-answer:
		a.Entry = shown(a.Entry, false, false)
		return a, nil
	case err := <-failed:
		return api.StartAnswer{}, err
	case <-k.ended:
		return api.StartAnswer{}, errEnding
	}
}

func answered[T any](answer T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func (d *Daemon) postStart(_ http.ResponseWriter, r *http.Request) (any, error) {
	k, err := d.keeper(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return answered(k.awaitStart(func(a chan api.StartAnswer, f chan error) {
		k.start(api.StartRequest{Launch: k.record.Launch}, a, f)
	}))
}

func (d *Daemon) postStop(_ http.ResponseWriter, r *http.Request) (any, error) {
	k, err := d.keeper(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	var body api.StopRequest
	if err := apiserver.Decode(r, &body); err != nil {
		return nil, err
	}
	with := func(name string) bool { return slices.Contains(body.With, name) }
	if err := k.awaitAbove(r.Context(), with); err != nil {
		return nil, err
	}
	left := partsOf(d.all()).Dependants(k.id)
	return answered(ask(r.Context(), k, func() (api.StopAnswer, error) {
		op, err := k.stop(body.Now)
		return api.StopAnswer{Entry: shown(k.entryNow(), false, false), Operation: op, Left: left}, err
	}))
}

func (d *Daemon) postRestart(_ http.ResponseWriter, r *http.Request) (any, error) {
	k, err := d.keeper(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	var body api.RestartRequest
	if err := apiserver.Decode(r, &body); err != nil {
		return nil, err
	}
	return answered(k.awaitStart(func(a chan api.StartAnswer, f chan error) {
		launch := k.record.Launch
		if body.Env != nil {
			launch.Env = body.Env
		}
		k.restart(body.Now, &launch, a, f)
	}))
}

// postReset makes the counter of lost masters start at zero.
func (d *Daemon) postReset(_ http.ResponseWriter, r *http.Request) (any, error) {
	k, err := d.keeper(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return answered(ask(r.Context(), k, func() (api.Entry, error) {
		k.record.Masters = 0
		k.save()
		return shown(k.entryNow(), false, false), nil
	}))
}

func (d *Daemon) deleteEntry(_ http.ResponseWriter, r *http.Request) (any, error) {
	k, err := d.keeper(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	entry := k.entry()
	_, err = ask(r.Context(), k, func() (struct{}, error) { return struct{}{}, k.remove() })
	return answered(shown(entry, false, false), err)
}

func specNamed(name string) app.Spec { return app.Spec{Name: name} }
