package master

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/nodeipc"
	"github.com/musterd/muster/internal/sock"
)

// How often a worker is checked: before it counts as ready, and while it proves a new generation.
const (
	healthFirst  = 20 * time.Millisecond
	healthMost   = time.Second
	healthPeriod = 500 * time.Millisecond
)

// check is a health check of one worker.
type check struct {
	by      app.Health
	timeout time.Duration
	dial    func(context.Context) (net.Conn, error)
	tls     bool
}

// healthOf is the check of a worker by its app's wish; false without one.
func (m *Master) healthOf(w *worker) (*check, bool) {
	cfg := m.of(w)
	if cfg.App.HealthBy.Kind == app.HealthNone || w.slot == lifecycle.NoSlot {
		return nil, false
	}
	c := &check{by: cfg.App.HealthBy, timeout: cfg.App.HealthTimeout.Duration()}
	for key, l := range w.keys {
		if l.tcp() && w.conn != nil {
			c.dial, c.tls = dialWorker(w.conn, key), speaksTLS(l)
			return c, true
		}
	}
	l := m.probed()
	if l == nil {
		return nil, false
	}
	c.dial = l.dial
	return c, true
}

// speaksTLS tells whether the server that asked for the listener is one of TLS: then it has sent the keys of its session tickets.
func speaksTLS(l *listener) bool {
	var data struct {
		TicketKeys string `json:"ticketKeys"`
	}
	return json.Unmarshal(l.data, &data) == nil && data.TicketKeys != ""
}

// dialWorker connects to this worker and no other: the far end of a connection of our own is handed to it over its channel.
func dialWorker(conn *nodeipc.Conn, key string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		s, err := sock.OpenShared(app.Listener{Network: "tcp4", Host: "127.0.0.1"}, sock.Options{Nonblock: true})
		if err != nil {
			return nil, err
		}
		defer s.Close()
		near, err := new(net.Dialer).DialContext(ctx, "tcp4", s.Addr())
		if err != nil {
			return nil, err
		}
		far, err := s.Accept()
		if err != nil {
			return nil, errors.Join(err, near.Close())
		}
		defer closeFD(far) // the channel has a copy
		if _, err := conn.NewConn(key, far); err != nil {
			return nil, errors.Join(err, near.Close())
		}
		return near, nil
	}
}

// dial connects to whoever takes the next connection of a listener.
func (l *listener) dial(ctx context.Context) (net.Conn, error) {
	if l.Network == "unix" {
		return new(net.Dialer).DialContext(ctx, "unix", l.Path)
	}
	host := l.Host
	if host == "" {
		host = "localhost"
	}
	return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(l.Port)))
}

// try checks once.
func (c *check) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if c.by.Kind == app.HealthTCP {
		conn, err := c.dial(ctx)
		if err != nil {
			return fmt.Errorf("health check: %w", err)
		}
		return conn.Close()
	}
	return c.get(ctx)
}

func (c *check) get(ctx context.Context) error {
	scheme := "http"
	if c.tls {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://localhost"+c.by.Path, nil)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	req.Close = true
	transport := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the worker is known by its channel, not by a name
	}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport, CheckRedirect: lastAnswer}).Do(req)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		return &statusError{path: c.by.Path, status: answer.Status}
	}
	return nil
}

// lastAnswer takes a redirect for an answer.
func lastAnswer(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// prove checks a worker that says it serves, until it does; the start timeout ends it. It is false where there is nothing to check.
func (m *Master) prove(w *worker) bool {
	c, ok := m.healthOf(w)
	if !ok || w.healthy {
		return false
	}
	if w.checking {
		return true
	}
	w.checking = true
	tell := func(err error) {
		m.post(func() { m.step(lifecycle.Ailing{Worker: w.id, Why: err.Error()}) })
	}
	m.watchHealth(w, func(ctx context.Context) error { return c.untilWell(ctx, tell) }, func(error) {
		w.checking, w.healthy = false, true
		m.becomeReady(w)
	})
	return true
}

// untilWell returns when the worker is well; its error is that of ctx. Meanwhile it tells what is wrong, each time that this is something else.
func (c *check) untilWell(ctx context.Context, tell func(error)) error {
	var told string
	for wait := healthFirst; ; wait = min(wait*2, healthMost) {
		err := c.try(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		if text := err.Error(); text != told {
			told = text
			tell(err)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// guardCanary goes on checking a worker on whom a new generation depends.
func (m *Master) guardCanary(w *worker) {
	c, ok := m.healthOf(w)
	if r := m.state.Rollout; !ok || r == nil || r.Committed || r.To != w.gen {
		return
	}
	settle := m.state.Policy.Settle
	m.watchHealth(w, func(ctx context.Context) error { return w.unlessDead(ctx, c.whileWell(ctx, settle)) }, func(err error) {
		if err != nil {
			m.step(lifecycle.Unhealthy{Worker: w.id, Why: err.Error()})
		}
	})
}

// whileWell returns the first check that fails, or nil when d has passed.
func (c *check) whileWell(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := c.try(ctx); err != nil {
			return err
		}
		if err := pause(ctx, healthPeriod); err != nil {
			return err
		}
	}
	return nil
}

// unlessDead leaves it to the exit to say what went wrong with a worker that broke a check off by its end. A worker that answered is alive.
func (w *worker) unlessDead(ctx context.Context, err error) error {
	var answered *statusError
	if err == nil || errors.As(err, &answered) {
		return err
	}
	bound := time.NewTimer(crashTime)
	defer bound.Stop()
	select {
	case <-w.end.done:
		return nil
	case <-ctx.Done():
	case <-bound.C:
	}
	return err
}

// crashTime is how long after its connections a process that crashes may end.
const crashTime = 250 * time.Millisecond

// statusError is an answer that means no.
type statusError struct{ path, status string }

func (e *statusError) Error() string { return "health check " + e.path + ": status " + e.status }

// pause waits for d, or for the end of ctx, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watchHealth runs a check beside the loop, and then tells the loop, unless the worker left meanwhile.
func (m *Master) watchHealth(w *worker, run func(context.Context) error, then func(error)) {
	ctx := w.lookAnew()
	m.wg.Go(func() { // ends with ctx, at the latest when the worker is released
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		m.post(func() {
			if m.workers[w.id] == w {
				then(err)
			}
		})
	})
}

// beat passes on a sign of life.
func (m *Master) beat(w *worker, trigger bool) {
	if trigger {
		m.log.Warn("worker asks to be replaced by its watchdog", logs.KeySlot, w.slot, logs.KeyWorker, w.id)
		m.step(lifecycle.Unhealthy{Worker: w.id, Why: "its own watchdog was triggered"})
		return
	}
	if w.suspected == lifecycle.SenseHeartbeat {
		m.suspect(w, "")
	}
	w.beatAt = time.Now()
	m.step(lifecycle.Beat{Worker: w.id})
}
