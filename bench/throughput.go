package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"

	"github.com/musterd/muster/internal/testutil/load"
)

//go:embed js/*.js
var programs embed.FS

// contender is a way to run js/server.js.
type contender struct {
	name  string
	alone bool // it has no master
	start func(ctx context.Context, b *bench, addr string, env []string) (*server, error)
}

var contenders = []contender{
	{"node, one process", true, startNode("server.js")},
	{"node cluster, rr", false, startNode("cluster.js", "NODE_CLUSTER_SCHED_POLICY=rr")},
	{"node cluster, none", false, startNode("cluster.js", "NODE_CLUSTER_SCHED_POLICY=none")},
	{"muster run, slots", false, startRun("slots")},
	{"muster run, shared", false, startRun("shared")},
}

// loadClients is the number of concurrent clients of the throughput loads.
const loadClients = 16

// throughput runs the same Node server in every way.
func throughput(ctx context.Context, b *bench) ([]result, error) {
	var names []string
	for _, c := range contenders {
		names = append(names, c.name)
	}
	t := newTable(fmt.Sprintf("%d workers, %d clients", b.workers, loadClients), []column{
		{"kept connections, req/s", "%.0f"},
		{"p99, ms", "%.1f"},
		{"new connections, req/s", "%.0f"},
		{"p99, ms", "%.1f"},
		{"start to first answer, ms", "%.0f"},
		{"PSS of the master, MB", "%.1f"},
		{"failed", "%.0f"},
	}, names...)
	for range b.rounds {
		for i, c := range contenders {
			if !b.wants(c.name) {
				continue
			}
			if err := b.measure(ctx, t.rows[i], c); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return []result{t}, nil
}

// writePrograms puts the programs into a folder.
func (b *bench) writePrograms(dir string) error {
	js, err := fs.Sub(programs, "js")
	if err != nil {
		return err
	}
	return os.CopyFS(dir, js)
}

// measure runs one contender for one round.
func (b *bench) measure(ctx context.Context, r *row, c contender) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	s, err := c.start(ctx, b, addr, []string{fmt.Sprintf("PORT=%d", port), fmt.Sprintf("WORKERS=%d", b.workers)})
	if err != nil {
		return err
	}
	defer s.stop()
	kept, err := load.Run(ctx, load.Options{Addr: addr, Clients: loadClients, Duration: b.time})
	if err != nil {
		return err
	}
	fresh, err := load.Run(ctx, load.Options{Addr: addr, Clients: loadClients, Duration: b.time, NewConnPerRequest: true})
	if err != nil {
		return err
	}
	memory := none
	if !c.alone {
		memory = pss(s.cmd.Process.Pid)
	}
	r.add(kept.Rate(), milliseconds(kept.Latency.Quantile(.99)), fresh.Rate(), milliseconds(fresh.Latency.Quantile(.99)),
		milliseconds(s.boot), memory, float64(kept.Failed()+fresh.Failed()))
	return ctx.Err()
}

func startNode(program string, more ...string) func(context.Context, *bench, string, []string) (*server, error) {
	return func(ctx context.Context, b *bench, addr string, env []string) (*server, error) {
		return start(ctx, b.dir, addr, append(env, more...), b.node, program)
	}
}

func startRun(balance string) func(context.Context, *bench, string, []string) (*server, error) {
	return func(ctx context.Context, b *bench, addr string, env []string) (*server, error) {
		return b.startMuster(ctx, b.dir, addr, env, "--balance", balance, "server.js")
	}
}
