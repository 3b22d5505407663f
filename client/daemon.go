package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/musterd/muster/api"
)

// The methods of the daemon. A Client of its socket has only these and Events.

// Daemon tells who the daemon is.
func (c *Client) Daemon(ctx context.Context) (api.Daemon, error) {
	return call[api.Daemon](ctx, c, http.MethodGet, api.PathDaemon, nil)
}

// StopDaemon ends the daemon, and all its apps unless they are to be left.
func (c *Client) StopDaemon(ctx context.Context, leaveApps bool) (api.Daemon, error) {
	return call[api.Daemon](ctx, c, http.MethodPost, api.PathDaemonStop, api.DaemonStopRequest{LeaveApps: leaveApps})
}

// UpgradeDaemon lets the daemon become the program that is now installed, and returns when it answers again.
func (c *Client) UpgradeDaemon(ctx context.Context) (api.Daemon, error) {
	events, err := c.Events(ctx)
	if err != nil {
		return api.Daemon{}, err
	}
	defer events.Close()
	if _, err := call[api.Daemon](ctx, c, http.MethodPost, api.PathDaemonUpgrade, nil); err != nil {
		return api.Daemon{}, err
	}
	for err == nil { // until the old program has let everybody go
		_, err = events.Next()
	}
	if ctx.Err() != nil {
		return api.Daemon{}, ctx.Err()
	}
	return c.Daemon(ctx) // waits in the queue of the socket, if need be
}

// Entries returns all apps that the daemon keeps, with what their masters answer.
func (c *Client) Entries(ctx context.Context) ([]api.Entry, error) {
	return call[[]api.Entry](ctx, c, http.MethodGet, api.PathApps+"?"+api.ParamWith+"="+api.WithApps, nil)
}

// Entry returns an app, with the environment of who started it.
func (c *Client) Entry(ctx context.Context, name string) (api.Entry, error) {
	return call[api.Entry](ctx, c, http.MethodGet, entryPath(api.PathEntry, name)+"?"+api.ParamWith+"="+api.WithApps+","+api.WithEnv, nil)
}

// AwaitIdle returns an app as soon as no master of it runs.
func (c *Client) AwaitIdle(ctx context.Context, name string) (api.Entry, error) {
	for {
		e, err := call[api.Entry](ctx, c, http.MethodGet, entryPath(api.PathEntry, name)+"?"+api.ParamIdle+"="+longPoll.String(), nil)
		if err != nil || e.PID == 0 {
			return e, err
		}
	}
}

// AwaitDecision returns an app that is held as soon as it is no more, or waits for something else than known says.
func (c *Client) AwaitDecision(ctx context.Context, known api.Entry) (api.Entry, error) {
	query := url.Values{api.ParamHeld: {longPoll.String()}, api.ParamWhy: {known.Why}}
	for {
		e, err := call[api.Entry](ctx, c, http.MethodGet, entryPath(api.PathEntry, known.Name)+"?"+query.Encode(), nil)
		if err != nil || e.State != known.State || e.Why != known.Why {
			return e, err
		}
	}
}

// Start makes an app run as the request says, and returns when its master has opened its sockets, or the reload has begun.
func (c *Client) Start(ctx context.Context, r api.StartRequest) (api.StartAnswer, error) {
	return call[api.StartAnswer](ctx, c, http.MethodPost, api.PathApps, r)
}

// StartEntry starts an app that is known.
func (c *Client) StartEntry(ctx context.Context, name string) (api.StartAnswer, error) {
	return call[api.StartAnswer](ctx, c, http.MethodPost, entryPath(api.PathEntryStart, name), nil)
}

// StopEntry ends an app, which stays known.
func (c *Client) StopEntry(ctx context.Context, name string, r api.StopRequest) (api.StopAnswer, error) {
	return call[api.StopAnswer](ctx, c, http.MethodPost, entryPath(api.PathEntryStop, name), r)
}

// Restart ends an app and starts it again, and returns when its new master has opened its sockets.
func (c *Client) Restart(ctx context.Context, name string, r api.RestartRequest) (api.StartAnswer, error) {
	return call[api.StartAnswer](ctx, c, http.MethodPost, entryPath(api.PathRestart, name), r)
}

// ResetEntry makes the daemon's own counter of an app, of lost masters, start at zero.
func (c *Client) ResetEntry(ctx context.Context, name string) (api.Entry, error) {
	return call[api.Entry](ctx, c, http.MethodPost, entryPath(api.PathEntryReset, name), nil)
}

// ClearSaved forgets what was saved, and returns what that was.
func (c *Client) ClearSaved(ctx context.Context) (api.SaveAnswer, error) {
	return call[api.SaveAnswer](ctx, c, http.MethodDelete, api.PathSave, nil)
}

// Delete forgets an app that does not run, or is being stopped.
func (c *Client) Delete(ctx context.Context, name string) (api.Entry, error) {
	return call[api.Entry](ctx, c, http.MethodDelete, entryPath(api.PathEntry, name), nil)
}

// Save writes down which apps run.
func (c *Client) Save(ctx context.Context) (api.SaveAnswer, error) {
	return call[api.SaveAnswer](ctx, c, http.MethodPost, api.PathSave, nil)
}

// Resurrect starts what was saved.
func (c *Client) Resurrect(ctx context.Context) (api.SaveAnswer, error) {
	return call[api.SaveAnswer](ctx, c, http.MethodPost, api.PathResurrect, nil)
}

func entryPath(path, name string) string {
	return strings.Replace(path, "{name}", url.PathEscape(name), 1)
}
