// Package client talks to a running master, by its control socket. Its types are those of package api.
//
// Errors that the master answers with are *api.Error. Where nobody answers, errors.Is(err, ErrUnreachable).
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/musterd/muster/api"
)

// ErrUnreachable says that nobody answers on the socket.
var ErrUnreachable = errors.New("nobody answers")

// Client is the API of one master. It may be used by several goroutines. Close it.
type Client struct {
	socket string
	http   *http.Client
	reveal bool // ask for secrets, too
}

// New returns a client of the master at that socket. Nothing is connected before the first request.
func New(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	// A connection for each request: one that is kept may be closed just when the next request is on its way, as in an upgrade, and then
	// nobody knows whether it was heard. A new one is answered by whoever accepts it.
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	return &Client{socket: socket, http: &http.Client{Transport: transport}}
}

// Socket is the path that New was given.
func (c *Client) Socket() string { return c.socket }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Revealing is the same client, whose answers show the secrets that are masked else.
func (c *Client) Revealing() *Client { return &Client{socket: c.socket, http: c.http, reveal: true} }

// App returns everything about the app.
func (c *Client) App(ctx context.Context) (api.App, error) {
	return call[api.App](ctx, c, http.MethodGet, api.PathApp, nil)
}

// AppUnmeasured is App without what the workers take, which is dear to look at for every app by itself.
func (c *Client) AppUnmeasured(ctx context.Context) (api.App, error) {
	return call[api.App](ctx, c, http.MethodGet, api.PathApp+"?usage=no", nil)
}

// Env returns the environment that each worker was started with.
func (c *Client) Env(ctx context.Context) ([]api.WorkerEnv, error) {
	return call[[]api.WorkerEnv](ctx, c, http.MethodGet, api.PathEnv, nil)
}

// Launch returns what the app was started from.
func (c *Client) Launch(ctx context.Context) (api.Launch, error) {
	return call[api.Launch](ctx, c, http.MethodGet, api.PathLaunch, nil)
}

// Reload replaces all workers by those of a new generation. What is returned by this and the next ones has only begun; see Await.
func (c *Client) Reload(ctx context.Context) (api.Operation, error) {
	return call[api.Operation](ctx, c, http.MethodPost, api.PathReload, nil)
}

// ReloadAs is Reload to what l says.
func (c *Client) ReloadAs(ctx context.Context, l api.Launch) (api.Operation, error) {
	return call[api.Operation](ctx, c, http.MethodPost, api.PathReload, api.ReloadRequest{Launch: &l})
}

// Rollback brings back what the last reload has replaced.
func (c *Client) Rollback(ctx context.Context) (api.Operation, error) {
	return call[api.Operation](ctx, c, http.MethodPost, api.PathRollback, nil)
}

// Scale changes the number of slots: see api.ScaleRequest.
func (c *Client) Scale(ctx context.Context, workers string) (api.Operation, error) {
	return call[api.Operation](ctx, c, http.MethodPost, api.PathScale, api.ScaleRequest{Workers: workers})
}

// Stop ends the app: the workers first, then the master. With now they are killed.
func (c *Client) Stop(ctx context.Context, now bool) (api.Operation, error) {
	return call[api.Operation](ctx, c, http.MethodPost, api.PathStop, api.StopRequest{Now: now})
}

// Upgrade lets the master become the binary that now has its file's name, with all workers and connections.
func (c *Client) Upgrade(ctx context.Context) (api.Operation, error) {
	return call[api.Operation](ctx, c, http.MethodPost, api.PathUpgrade, nil)
}

// Signal sends a signal to the process of each worker, or of the one in a slot.
func (c *Client) Signal(ctx context.Context, r api.SignalRequest) (api.SignalAnswer, error) {
	return call[api.SignalAnswer](ctx, c, http.MethodPost, api.PathSignal, r)
}

// Reset makes the counters of respawns and rescues start at zero. It returns the app as it is then.
func (c *Client) Reset(ctx context.Context) (api.App, error) {
	return call[api.App](ctx, c, http.MethodPost, api.PathReset, nil)
}

// Reopen lets the master open its log files again, for whoever has moved them away.
func (c *Client) Reopen(ctx context.Context) (api.ReopenAnswer, error) {
	return call[api.ReopenAnswer](ctx, c, http.MethodPost, api.PathReopen, nil)
}

// Keep lets the master give its descriptors to another store: see api.KeepRequest.
func (c *Client) Keep(ctx context.Context, socket string) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, api.PathKeep, api.KeepRequest{Socket: socket})
	return err
}

// Operation returns an operation as soon as it has ended, or after wait as it is then. Zero does not wait.
func (c *Client) Operation(ctx context.Context, id string, wait time.Duration) (api.Operation, error) {
	path := strings.Replace(api.PathOperation, "{id}", url.PathEscape(id), 1)
	if wait > 0 {
		path += "?" + api.ParamWait + "=" + url.QueryEscape(wait.String())
	}
	return call[api.Operation](ctx, c, http.MethodGet, path, nil)
}

// Logs returns the last lines of an app that has no log files, in the form of a log file, behind the position since, and the position behind them.
// A negative since is the beginning. With follow the lines do not end before the master does. They are the caller's to close.
func (c *Client) Logs(ctx context.Context, since int64, follow bool) (lines io.ReadCloser, next int64, err error) {
	query := url.Values{api.ParamSince: {strconv.FormatInt(since, 10)}, api.ParamFollow: {strconv.FormatBool(follow)}}
	resp, err := c.send(ctx, http.MethodGet, api.PathLogs+"?"+query.Encode(), nil)
	if err != nil {
		return nil, 0, err
	}
	next, _ = strconv.ParseInt(resp.Header.Get(api.HeaderPosition), 10, 64)
	return resp.Body, next, nil
}

// longPoll is how long one request of Await waits.
const longPoll = 30 * time.Second

// Await returns the operation when it has ended, well or not.
func (c *Client) Await(ctx context.Context, id string) (api.Operation, error) {
	for {
		op, err := c.Operation(ctx, id, longPoll)
		if err != nil || op.State != api.OperationRunning {
			return op, err
		}
	}
}

// call sends a request and reads its answer.
func call[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var answer T
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return answer, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("read the answer of %s %s: %w", method, path, err)
	}
	return answer, nil
}

// send returns an answer that is no error; its body is the caller's to close.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	if c.reveal {
		path = withSecrets(path)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://muster"+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("reach %s: %w: %w", c.socket, ErrUnreachable, cause(err))
	case resp.StatusCode >= http.StatusBadRequest:
		defer func() { _ = resp.Body.Close() }()
		return nil, failure(resp)
	}
	return resp, nil
}

// withSecrets asks for secrets, too.
func withSecrets(path string) string {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return path + separator + api.ParamWith + "=" + api.WithSecrets
}

// cause takes off what http.Client puts around an error: the method and a host that means nothing.
func cause(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// failure reads the error that was answered.
func failure(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	var f api.Failure
	if json.Unmarshal(text, &f) != nil || f.Error.Message == "" {
		return &api.Error{Kind: api.KindInternal, Message: fmt.Sprintf("the master answered %s: %s", resp.Status, bytes.TrimSpace(text))}
	}
	return &f.Error
}
