package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/musterd/muster/internal/testutil/load"
)

// balanceContender is a way to spread connections over blockedWorkers workers.
type balanceContender struct {
	name  string
	start func(ctx context.Context, b *bench, addr string) (*server, error)
}

var balanceContenders = []balanceContender{
	{"Node, slots", startApp(nil, "slots")},
	{"Node, slots, not steered", startApp(plain, "slots")},
	{"Node, shared", startApp(plain, "shared")},
	{"Go SDK, slots", startGoApp(nil, "slots")},
	{"Go SDK, slots, not steered", startGoApp(plain, "slots")},
	{"Go SDK, shared", startGoApp(plain, "shared")},
}

// The loads of balance beside those of throughput.
const (
	idleClients   = 400                    // that ask once and stay connected
	heavyPath     = "/work?ms=10"          // one of four clients asks for that, all the time
	heavyShare    = 4                      //
	sparsely      = 100 * time.Millisecond // between two connections where there is nearly nothing to do
	sparsePeriods = 100                    // of these
)

// balanceLoad is a load and what it shows.
type balanceLoad struct {
	name string
	put  func(ctx context.Context, b *bench, addr string) (*load.Result, error)
}

var balanceLoads = []balanceLoad{
	{"kept connections", keptLoad},
	{"new connections", newLoad},
	{"uneven cost: one of four clients asks for 10 ms of computing; the others", unevenLoad},
	{fmt.Sprintf("%d idle connections; the spread is theirs", idleClients), idleLoad},
	{"10 new connections a second", sparseLoad},
}

// balance puts each load on each way to spread connections.
func balance(ctx context.Context, b *bench) ([]result, error) {
	var names []string
	for _, c := range balanceContenders {
		names = append(names, c.name)
	}
	var tables []table
	for _, l := range balanceLoads {
		tables = append(tables, newTable(l.name, []column{
			{"req/s", "%.0f"}, {"p50, ms", "%.1f"}, {"p99, ms", "%.1f"}, {"busiest worker, of an even share", "%.2f"}, {"failed", "%.0f"},
		}, names...))
	}
	for range b.rounds {
		for i, c := range balanceContenders {
			if !b.wants(c.name) {
				continue
			}
			if err := b.spread(ctx, tables, i, c); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	var results []result
	for _, t := range tables {
		results = append(results, t)
	}
	return results, nil
}

// spread measures one contender, the i-th, in one round.
func (b *bench) spread(ctx context.Context, tables []table, i int, c balanceContender) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	s, err := c.start(ctx, b, addr)
	if err != nil {
		return err
	}
	defer s.stop()
	for n, l := range balanceLoads {
		r, err := l.put(ctx, b, addr)
		if err != nil || ctx.Err() != nil {
			return fmt.Errorf("%s: %w", l.name, errorsOf(err, ctx.Err()))
		}
		b.say("%s, %s: %.0f/s, %d failed, by worker %v", c.name, l.name, r.Rate(), r.Failed(), r.ByPID)
		tables[n].rows[i].add(r.Rate(), milliseconds(r.Latency.Quantile(.5)), milliseconds(r.Latency.Quantile(.99)), busiest(r.ByPID), float64(r.Failed()))
	}
	return nil
}

// errorsOf is the first that is one.
func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// busiest is what the worker with the most answers has given, in even shares: 1 where all have given as many, and the number of workers where
// one has given all.
func busiest(byPID map[int]int) float64 {
	most, total := 0, 0
	for _, n := range byPID {
		most, total = max(most, n), total+n
	}
	if total == 0 {
		return none
	}
	return float64(most) * blockedWorkers / float64(total)
}

func keptLoad(ctx context.Context, b *bench, addr string) (*load.Result, error) {
	return load.Run(ctx, load.Options{Addr: addr, Clients: loadClients, Duration: b.time})
}

func newLoad(ctx context.Context, b *bench, addr string) (*load.Result, error) {
	return load.Run(ctx, load.Options{Addr: addr, Clients: loadClients, Duration: b.time, NewConnPerRequest: true})
}

// unevenLoad returns what those see who want little. All open a connection for each request.
func unevenLoad(ctx context.Context, b *bench, addr string) (light *load.Result, err error) {
	var heavy *load.Result
	var heavyErr error
	var all sync.WaitGroup
	all.Go(func() {
		heavy, heavyErr = load.Run(ctx, load.Options{Addr: addr, Path: heavyPath, Clients: loadClients / heavyShare, Duration: b.time, NewConnPerRequest: true})
	})
	light, err = load.Run(ctx, load.Options{Addr: addr, Clients: loadClients - loadClients/heavyShare, Duration: b.time, NewConnPerRequest: true})
	all.Wait()
	if err := errorsOf(err, heavyErr); err != nil {
		return nil, err
	}
	b.say("beside it %.0f of the heavy requests a second", heavy.Rate())
	return light, nil
}

// idleLoad opens connections at leisure, which stay, and then puts keptLoad on beside them.
func idleLoad(ctx context.Context, b *bench, addr string) (*load.Result, error) {
	byPID := map[int]int{}
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for range idleClients {
		conn, pid, err := visit(ctx, addr)
		if err != nil {
			return nil, err
		}
		conns, byPID[pid] = append(conns, conn), byPID[pid]+1
	}
	r, err := keptLoad(ctx, b, addr)
	if err != nil {
		return nil, err
	}
	r.ByPID = byPID
	return r, nil
}

// visit asks once and leaves the connection open.
func visit(ctx context.Context, addr string) (conn net.Conn, pid int, err error) {
	var d net.Dialer
	if conn, err = d.DialContext(ctx, "tcp", addr); err != nil {
		return nil, 0, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err == nil {
		answer := make([]byte, 4096)
		var n int
		if n, err = conn.Read(answer); err == nil {
			_, rest, _ := strings.Cut(string(answer[:n]), "pid: ")
			_, err = fmt.Sscan(rest, &pid)
		}
	}
	if err != nil {
		_ = conn.Close()
		return nil, 0, fmt.Errorf("visit: %w", err)
	}
	return conn, pid, nil
}

// sparseLoad opens a connection now and then.
func sparseLoad(ctx context.Context, b *bench, addr string) (*load.Result, error) {
	began := time.Now()
	s := steadily(ctx, addr, sparsely, min(2*b.time, sparsely*sparsePeriods))
	return &load.Result{
		Requests: s.asked, OK: s.asked - s.failed, Latency: s.latency, ByPID: s.byPID, Elapsed: time.Since(began),
	}, nil
}
