// Package load is the HTTP/1.1 client that tests and benchmarks put load on a server with.
//
// It speaks over plain connections instead of net/http because the question is what a client sees when a server is killed, reloaded or
// moved under it: every request ends in exactly one Kind, and connect, write and read failures are told apart.
package load

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Defaults of Options.
const (
	DefaultTimeout   = 10 * time.Second
	DefaultSlowAfter = time.Second
)

// Options says whom to ask, how and for how long. Either URL or Addr is required; everything else has a usable zero value.
type Options struct {
	URL     string // http://127.0.0.1:3000/path, http://[::1]:3000, or unix:/run/x.sock; fills Network, Addr and Path
	Network string // tcp, tcp4, tcp6 or unix; default tcp
	Addr    string // host:port, or the path of a unix socket
	Path    string // request target; default /
	Host    string // Host header; default localhost

	Clients           int           // concurrent clients, each with at most one request in flight; default 1
	NewConnPerRequest bool          // open a connection for each request and ask the server to close it
	NoRetry           bool          // see Result.Retried
	Duration          time.Duration // start no request after this time
	Count             int           // start no more than so many requests over all clients; without Duration and Count: 1
	Timeout           time.Duration // of one request, from connect to the last byte; default DefaultTimeout
	ThinkTime         time.Duration // pause of a client between two requests
	SlowAfter         time.Duration // answered requests that took longer go to Result.Slow; default DefaultSlowAfter
}

// normalize fills the defaults in and takes URL apart.
func (o Options) normalize() (Options, error) {
	if o.URL != "" {
		if err := o.takeURL(); err != nil {
			return o, err
		}
	}
	if o.Addr == "" {
		return o, fmt.Errorf("load options: neither URL nor Addr is set")
	}
	if o.Duration <= 0 && o.Count <= 0 {
		o.Count = 1
	}
	o.Network = orElse(o.Network, "tcp")
	o.Path = orElse(o.Path, "/")
	o.Host = orElse(o.Host, "localhost")
	o.Clients = max(o.Clients, 1)
	o.Timeout = orElse(o.Timeout, DefaultTimeout)
	o.SlowAfter = orElse(o.SlowAfter, DefaultSlowAfter)
	return o, nil
}

func (o *Options) takeURL() error {
	if path, ok := strings.CutPrefix(o.URL, "unix:"); ok {
		o.Network, o.Addr = "unix", path
		return nil
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return fmt.Errorf("parse URL: %w", err)
	}
	if u.Scheme != "http" {
		return fmt.Errorf("parse URL %s: scheme is not http", o.URL)
	}
	o.Addr = u.Host
	if u.Port() == "" {
		o.Addr += ":80"
	}
	o.Path = orElse(o.Path, u.RequestURI())
	o.Host = orElse(o.Host, u.Host)
	return nil
}

func orElse[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
