package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// patience is how long a client of the reference waits for one answer.
const patience = 2 * time.Second

// reference runs testdata/node/worker.js, which answers a request and then throws, under the master.js beside it and under muster. In
// the scratch copy of master.js the port is another; worker.js is as it stands.
func reference(ctx context.Context, b *bench) ([]result, error) {
	columns := []column{{"of 100, one by one", "%.0f"}, {"answered of 8 clients' in 10 s", "%.0f"}, {"p99 of those, ms", "%.0f"}}
	t := newTable("worker.js under", columns, "its own master.js", "muster run --handoff message")
	for range b.rounds {
		for i, start := range []func(context.Context, *bench) (*server, error){startReferenceMaster, startReferenceMuster} {
			if err := crashes(ctx, b, t.rows[i], start); err != nil {
				return nil, err
			}
		}
	}
	return []result{t}, nil
}

// crashes measures one contender in one round.
func crashes(ctx context.Context, b *bench, r *row, start func(context.Context, *bench) (*server, error)) error {
	s, err := start(ctx, b)
	if err != nil {
		return err
	}
	defer s.stop()
	serial, err := load.Run(ctx, load.Options{Addr: s.addr, Count: 100, NewConnPerRequest: true, Timeout: patience})
	if err != nil {
		return err
	}
	many, err := load.Run(ctx, load.Options{Addr: s.addr, Clients: 8, Duration: 2 * b.time, NewConnPerRequest: true, Timeout: patience})
	if err != nil {
		return err
	}
	r.add(float64(serial.OK), float64(many.OK), milliseconds(many.Latency.Quantile(.99)))
	return ctx.Err()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func startReferenceMaster(ctx context.Context, b *bench) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "reference")
	if err != nil {
		return nil, err
	}
	if err := copyFixture(dir, "master.js", "listen(3000)", fmt.Sprintf("listen(%d)", port)); err != nil {
		return nil, err
	}
	if err := copyFixture(dir, "worker.js", "", ""); err != nil {
		return nil, err
	}
	return start(ctx, dir, fmt.Sprintf("127.0.0.1:%d", port), nil, b.node, "master.js")
}

func startReferenceMuster(ctx context.Context, b *bench) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(testutil.Root(), "testdata", "node")
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	return b.startMuster(ctx, dir, addr, nil, "--handoff", "message", "worker.js")
}

// startMuster runs `muster run` on addr with one worker per CPU; node is found first in its PATH.
func (b *bench) startMuster(ctx context.Context, dir, addr string, env []string, args ...string) (*server, error) {
	command := append([]string{b.muster, "run", "--name", "bench", "-i", fmt.Sprint(b.workers), "-l", "tcp://" + addr}, args...)
	return start(ctx, dir, addr, append(env, b.nodeFirst()), command...)
}

// copyFixture copies a file of testdata/node to dir, with one text in it replaced.
func copyFixture(dir, name, text, by string) error {
	code, err := os.ReadFile(filepath.Join(testutil.Root(), "testdata", "node", name))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), []byte(strings.Replace(string(code), text, by, 1)), 0o600)
}
