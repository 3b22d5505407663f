package master

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
)

// Bounds of what is kept for those who watch.
const (
	recentEvents = 1000 // that a client may have missed
	watcherRoom  = 256  // that a client may be behind
)

// watcher is a client that reads events. One that is too slow finds the channel closed.
type watcher struct {
	first  []api.Event // what it has to know before; nobody changes it any more
	events chan api.Event
}

// publish tells everybody who watches.
func (m *Master) publish(e api.Event) {
	c := &m.control
	c.memory.Revision++
	e.Revision, e.At = c.memory.Revision, time.Now()
	if len(c.recent) >= 2*recentEvents {
		c.recent = slices.Clone(m.recentEvents())
	}
	c.recent = append(c.recent, e)
	for w := range c.watchers {
		select {
		case w.events <- e:
		default:
			m.unwatch(w)
		}
	}
}

// watch begins with what came after the revision since, or with everything.
func (m *Master) watch(since uint64, known bool) *watcher {
	w := &watcher{events: make(chan api.Event, watcherRoom)}
	if first, ok := m.missed(since); known && ok {
		w.first = first
	} else {
		app := m.describeApp()
		w.first = []api.Event{{Revision: app.Revision, At: time.Now(), Kind: api.EventSnapshot, Slot: api.NoSlot, App: &app}}
	}
	m.control.watchers[w] = struct{}{}
	if m.control.halted {
		m.unwatch(w)
	}
	return w
}

// missed are the events after since; it is false if some of them are forgotten, or if since is of another master.
func (m *Master) missed(since uint64) ([]api.Event, bool) {
	last := m.control.memory.Revision
	if since > last || last-since > uint64(len(m.control.recent)) {
		return nil, false
	}
	missed := m.control.recent[len(m.control.recent)-int(last-since):]
	return append([]api.Event(nil), missed...), true
}

// recentEvents are the events that have to be remembered.
func (m *Master) recentEvents() []api.Event {
	recent := m.control.recent
	return recent[max(0, len(recent)-recentEvents):]
}

func (m *Master) unwatch(w *watcher) {
	if _, found := m.control.watchers[w]; found {
		delete(m.control.watchers, w)
		close(w.events)
	}
}

// endWatch lets everybody go who watches or waits: whoever wants more asks again.
func (m *Master) endWatch() {
	m.control.halted = true
	m.output.History().Release()
	for w := range m.control.watchers {
		m.unwatch(w)
	}
	for id, waiters := range m.control.waiters {
		for _, waiter := range waiters {
			if op := m.operation(id); op != nil { // else it is forgotten
				waiter <- *op // each has room for one
			}
		}
		delete(m.control.waiters, id)
	}
}

func (m *Master) getEvents(out http.ResponseWriter, r *http.Request) (any, error) {
	text := r.URL.Query().Get(api.ParamSince)
	since, err := strconv.ParseUint(text, 10, 64)
	if text != "" && err != nil {
		return nil, &api.Error{Kind: api.KindUsage, Message: strconv.Quote(text) + " is no revision"}
	}
	w, err := ask(r.Context(), m, func() *watcher { return m.watch(since, text != "") })
	if err != nil {
		return nil, err
	}
	defer m.post(func() { m.unwatch(w) })
	apiserver.Stream(out, r, w.first, w.events)
	return nil, nil
}
