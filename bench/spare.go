package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/musterd/muster/internal/testutil/load"
)

// What spare does: kills of the only worker, and of one of four; the boot of a worker; and how long each has lived by then, so that its end
// is no crash loop to anybody.
const (
	killsOfOne  = 20
	killsOfFour = 10
	bootOfApp   = 300 * time.Millisecond
	lifeOfApp   = 1200 * time.Millisecond
	askEvery    = 10 * time.Millisecond
	burst       = 16 // connections at once after a kill of one of four
)

// spareContender is a way to replace a worker.
type spareContender struct {
	name   string
	open   func(*bench, context.Context) (*manager, error)
	spares int
}

var spareContenders = []spareContender{
	{"PM2, cluster mode", (*bench).newPM2, 0},
	{"muster", (*bench).newMuster, 0},
	{"muster, spares: 1", (*bench).newMuster, 1},
}

// spare kills workers and asks at once.
func spare(ctx context.Context, b *bench) ([]result, error) {
	var names []string
	for _, c := range spareContenders {
		names = append(names, c.name)
	}
	t := newTable(fmt.Sprintf("after a SIGKILL; boot %v", bootOfApp), []column{
		{"the only worker: to the next answer, ms", "%.0f"}, {"the slowest, ms", "%.0f"}, {"lost", "%.0f"},
		{fmt.Sprintf("one of four: slowest of %d connections at once, ms", burst), "%.0f"}, {"lost", "%.0f"},
	}, names...)
	for range b.rounds {
		for i, c := range spareContenders {
			if !b.wants(c.name) {
				continue
			}
			if err := b.replace(ctx, t.rows[i], c); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return []result{t}, nil
}

// replace measures one contender in one round.
func (b *bench) replace(ctx context.Context, row *row, c spareContender) error {
	one, err := b.kills(ctx, c, 1, killsOfOne)
	if err != nil {
		return err
	}
	four, err := b.kills(ctx, c, 4, killsOfFour)
	if err != nil {
		return err
	}
	b.say("%s: after %d kills of the only worker %.0f ms", c.name, len(one.waits), one.waits)
	if len(four.waits) == 0 {
		four.waits = []float64{none}
	}
	row.add(median(one.waits), slices.Max(one.waits), float64(one.failed), median(four.waits), float64(four.failed))
	return nil
}

// aftermath is what came of kills.
type aftermath struct {
	waits  []float64 // ms
	failed int       // requests
}

// kills kills one of the app's workers so many times.
func (b *bench) kills(ctx context.Context, c spareContender, workers, kills int) (a aftermath, err error) {
	m, err := c.open(b, ctx)
	if err != nil {
		return a, err
	}
	defer m.close()
	addr, err := freeAddr()
	if err != nil {
		return a, err
	}
	app := appSpec{name: "bench", script: "app.js", workers: workers, spares: c.spares, env: envOf(addr)}
	app.env["BOOT_MS"] = fmt.Sprint(bootOfApp.Milliseconds())
	if _, err := m.startApps(ctx, app); err != nil {
		return a, err
	}
	for range kills {
		if _, err := m.settled(ctx, workers+c.spares); err != nil {
			return a, err
		}
		pause(ctx, lifeOfApp)
		victim, err := whoAnswers(ctx, addr)
		if err != nil {
			return a, err
		}
		if workers == 1 {
			err = a.killOnly(ctx, addr, victim)
		} else {
			err = a.killOne(ctx, addr, victim)
		}
		if err != nil {
			return a, err
		}
	}
	return a, nil
}

// whoAnswers is a worker that serves.
func whoAnswers(ctx context.Context, addr string) (pid int, err error) {
	r, err := load.Run(ctx, load.Options{Addr: addr, NewConnPerRequest: true})
	if err != nil {
		return 0, err
	}
	if r.OK != 1 {
		return 0, errors.Join(fmt.Errorf("no answer: %s", r), ctx.Err())
	}
	return r.PIDs()[0], nil
}

// killOnly kills the only worker and opens connections at a steady rate until one is answered. What has no answer then may still get one.
func (a *aftermath) killOnly(ctx context.Context, addr string, victim int) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	began := time.Now()
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill worker: %w", err)
	}
	answered := make(chan time.Duration, 1)
	var all sync.WaitGroup
	var lost atomic.Int64
	defer func() { a.failed += int(lost.Load()) }()
	defer all.Wait()
	for {
		all.Go(func() {
			r, err := load.Run(ctx, load.Options{Addr: addr, NewConnPerRequest: true, Timeout: patience})
			if err != nil || r.OK == 0 {
				lost.Add(1)
				return
			}
			select {
			case answered <- time.Since(began):
			default: // another was first
			}
		})
		select {
		case wait := <-answered:
			a.waits = append(a.waits, milliseconds(wait))
			return nil
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// killOne kills one worker of several, and opens many connections at once.
func (a *aftermath) killOne(ctx context.Context, addr string, victim int) error {
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill worker: %w", err)
	}
	r, err := load.Run(ctx, load.Options{Addr: addr, NewConnPerRequest: true, Clients: burst, Count: burst, Timeout: patience})
	if err != nil {
		return err
	}
	a.failed += r.Failed()
	if r.OK > 0 {
		a.waits = append(a.waits, milliseconds(r.Latency.Max()))
	}
	return ctx.Err()
}

// envOf tells a program of Node its port.
func envOf(addr string) map[string]string {
	_, port := splitAddr(addr)
	return map[string]string{"PORT": port}
}
