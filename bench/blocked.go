package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/musterd/muster/internal/testutil/load"
)

// The load of blocked: so many workers, a new connection so often, and blocks that last from shortest to longest.
const (
	blockedWorkers = 4
	blockedEvery   = 10 * time.Millisecond
	shortest       = 300 * time.Millisecond
	longest        = time.Second
)

// blockedContender is a way to run a server whose workers block.
type blockedContender struct {
	name    string
	steered bool // what it shows is eBPF steering
	lone    bool // one process: it is blocked half of the time, as each of two workers is
	start   func(ctx context.Context, b *bench, addr string) (*server, error)
}

var blockedContenders = []blockedContender{
	{name: "Node's cluster, round robin", start: startCluster("rr")},
	{name: "Node's cluster, none", start: startCluster("none")},
	{name: "muster, Node, steered", steered: true, start: startApp(nil, "auto")},
	{name: "muster, Node, not steered", start: startApp(plain, "auto")},
	{name: "Go, one process on the SDK, no master", lone: true, start: startAlone},
	{name: "Go, SO_REUSEPORT, no master", start: startReusePort},
	{name: "muster, Go SDK, steered", steered: true, start: startGoApp(nil, "auto")},
	{name: "muster, Go SDK, not steered", start: startGoApp(plain, "auto")},
}

// blocked lets two of four workers stand still, one after the other all the time, and opens connections at a steady rate, whatever becomes of
// those before.
func blocked(ctx context.Context, b *bench) ([]result, error) {
	var names []string
	for _, c := range blockedContenders {
		names = append(names, c.name)
	}
	t := newTable(fmt.Sprintf("%d workers, %d connections/s", blockedWorkers, time.Second/blockedEvery), []column{
		{"p99 without blocks, ms", "%.1f"}, {"p50, ms", "%.1f"}, {"p99, ms", "%.1f"}, {"max, ms", "%.0f"}, {"over 250 ms, %", "%.1f"}, {"failed", "%.0f"},
	}, names...)
	for range b.rounds {
		for i, c := range blockedContenders {
			if !b.wants(c.name) {
				continue
			}
			if c.steered && !maySteer() {
				b.say("%s: left out, it needs CAP_BPF", c.name)
				continue
			}
			if err := b.block(ctx, t.rows[i], c); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return []result{t}, nil
}

// block measures one contender in one round.
func (b *bench) block(ctx context.Context, row *row, c blockedContender) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	s, err := c.start(ctx, b, addr)
	if err != nil {
		return err
	}
	defer s.stop()
	if strings.HasPrefix(c.name, "muster") && steers(s.cmd.Process.Pid) != c.steered {
		return fmt.Errorf("steered is %v, which was not meant\n%s", !c.steered, s.output.String())
	}
	victims, err := findVictims(ctx, addr, c.lone)
	if err != nil {
		return err
	}
	quiet := steadily(ctx, addr, blockedEvery, b.time)
	blocks, stop := context.WithCancel(ctx)
	var ended sync.WaitGroup
	var blockErr error
	ended.Go(func() { blockErr = inTurn(blocks, victims) })
	loud := steadily(ctx, addr, blockedEvery, 4*b.time)
	stop()
	ended.Wait()
	if err := errors.Join(blockErr, ctx.Err()); err != nil {
		return err
	}
	b.say("%s: %d requests, p99 %v, slowest %v, failed %d", c.name, loud.asked, loud.latency.Quantile(.99), loud.latency.Max(), loud.failed)
	row.add(milliseconds(quiet.latency.Quantile(.99)), milliseconds(loud.latency.Quantile(.5)), milliseconds(loud.latency.Quantile(.99)),
		milliseconds(loud.latency.Max()), 100*float64(loud.slow)/float64(loud.asked), float64(loud.failed+quiet.failed))
	return nil
}

// inTurn blocks one victim after the other until ctx ends; none of them at a nil.
func inTurn(ctx context.Context, victims []*pin) error {
	for i := 0; ctx.Err() == nil; i++ {
		lasts := shortest + rand.N(longest-shortest)
		victim := victims[i%len(victims)]
		if victim == nil {
			pause(ctx, lasts)
		} else if err := victim.block(ctx, lasts); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// pause returns after d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// pin is a client with one connection, which stays with the worker that has taken it.
type pin struct {
	client http.Client
	addr   string
	pid    int // of the worker
}

func newPin(ctx context.Context, addr string) (*pin, error) {
	p := &pin{addr: addr, client: http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}}
	pid, err := p.ask(ctx, "/")
	p.pid = pid
	return p, err
}

// ask returns who answers.
func (p *pin) ask(ctx context.Context, path string) (pid int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(body), "pid: ")
	if _, err := fmt.Sscan(rest, &pid); err != nil {
		return 0, fmt.Errorf("answer %q names no worker: %w", body, err)
	}
	return pid, nil
}

// block has the worker stand still for d, and returns when it goes on.
func (p *pin) block(ctx context.Context, d time.Duration) error {
	pid, err := p.ask(ctx, fmt.Sprintf("/block?ms=%d", d.Milliseconds()))
	if err == nil && pid != p.pid {
		err = fmt.Errorf("worker %d was to be blocked, and %d was", p.pid, pid)
	}
	return err
}

// findVictims returns connections to two workers. While the first stands still, others take connections.
func findVictims(ctx context.Context, addr string, lone bool) ([]*pin, error) {
	first, err := newPin(ctx, addr)
	if err != nil || lone {
		return []*pin{first, nil}, err
	}
	for range 20 {
		var second *pin
		var mu sync.Mutex
		var all sync.WaitGroup
		all.Go(func() { _ = first.block(ctx, shortest) }) // it was there a moment ago; if it is not, the next block tells
		for range 2 * blockedWorkers {
			all.Go(func() {
				if p, err := newPin(ctx, addr); err == nil && p.pid != first.pid {
					mu.Lock()
					defer mu.Unlock()
					second = p
				}
			})
		}
		all.Wait()
		if second != nil {
			return []*pin{first, second}, nil
		}
	}
	return nil, errors.New("no second worker answers")
}

// seen is what became of a steady load.
type seen struct {
	latency load.Histogram // of what was answered
	asked   int
	slow    int // took more than 250 ms
	failed  int
	byPID   map[int]int // answers of each worker
}

// steadily starts a request on a connection of its own at each tick, whether or not those before were answered, and waits for all.
func steadily(ctx context.Context, addr string, every, total time.Duration) *seen {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	s := &seen{byPID: map[int]int{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range total / every {
		all.Go(func() {
			r, err := load.Run(ctx, load.Options{Addr: addr, NewConnPerRequest: true, SlowAfter: 250 * time.Millisecond})
			if err != nil || r.Requests == 0 { // the options are right, so ctx has ended
				return
			}
			mu.Lock()
			defer mu.Unlock()
			s.latency.Merge(&r.Latency)
			s.asked++
			s.slow += len(r.Slow)
			s.failed += r.Failed()
			addCounts(s.byPID, r.ByPID)
		})
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	all.Wait()
	return s
}

// addCounts adds the counts of from.
func addCounts(to, from map[int]int) {
	for pid, n := range from {
		to[pid] += n
	}
}

// startCluster runs js/app.js under Node's own cluster.
func startCluster(policy string) func(context.Context, *bench, string) (*server, error) {
	return func(ctx context.Context, b *bench, addr string) (*server, error) {
		env := append(portOf(addr), fmt.Sprintf("WORKERS=%d", blockedWorkers), "PROGRAM=app.js", "NODE_CLUSTER_SCHED_POLICY="+policy)
		return b.awaitAll(ctx, env, addr, b.node, "cluster.js")
	}
}

// plain is the program, with arguments, that drops the privileges of what it runs; the kernel steers no connections for it.
var plain = []string{"setpriv", "--bounding-set=-all", "--inh-caps=-all"}

// startApp runs js/app.js under muster.
func startApp(under []string, balance string) func(context.Context, *bench, string) (*server, error) {
	return func(ctx context.Context, b *bench, addr string) (*server, error) {
		return b.awaitAll(ctx, portOf(addr), addr, b.runs(under, balance, addr, "app.js")...)
	}
}

// startGoApp runs this program as a worker on the SDK under muster.
func startGoApp(under []string, balance string) func(context.Context, *bench, string) (*server, error) {
	return func(ctx context.Context, b *bench, addr string) (*server, error) {
		return b.awaitAll(ctx, []string{serveOn + "=" + addr}, addr, b.runs(under, balance, addr, "--", b.self)...)
	}
}

// runs is a command of muster that runs the workers of blocked and balance on addr.
func (b *bench) runs(under []string, balance, addr string, program ...string) []string {
	if os.Geteuid() != 0 {
		under = nil
	}
	command := append(append([]string{}, under...), b.muster, "run", "--name", "bench", "-i", fmt.Sprint(blockedWorkers), "-l", "tcp://"+addr, "--balance", balance)
	return append(command, program...)
}

// awaitAll starts a contender and waits until each of its workers serves.
func (b *bench) awaitAll(ctx context.Context, env []string, addr string, command ...string) (*server, error) {
	s, err := start(ctx, b.dir, addr, append(env, b.nodeFirst()), command...)
	if err != nil {
		return nil, err
	}
	if err := s.serving(ctx, blockedWorkers); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// startAlone runs one process of this program, which the SDK finds to have no master.
func startAlone(ctx context.Context, b *bench, addr string) (*server, error) {
	return start(ctx, b.dir, addr, []string{serveOn + "=" + addr}, b.self)
}

// startReusePort runs processes that open the same address, each by itself, under a shell that waits for them.
func startReusePort(ctx context.Context, b *bench, addr string) (*server, error) {
	script := strings.Repeat(`"$0" & `, blockedWorkers) + "trap 'kill $(jobs -p)' TERM; wait"
	shell, err := exec.LookPath("sh")
	if err != nil {
		return nil, err
	}
	return b.awaitAll(ctx, []string{serveOn + "=" + addr, serveShare + "=1"}, addr, shell, "-c", script, b.self)
}
