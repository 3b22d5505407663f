package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// The sizes of fleet. The workers are this program, which boots quickly: what is measured are the managers.
const (
	fleetApps    = 200
	fleetWorkers = 1000
	fleetKilled  = 100
	fleetSurge   = 50
	fleetLists   = 9
)

// fleet measures many apps, and one app with many workers.
func fleet(ctx context.Context, b *bench) ([]result, error) {
	apps := &report{header: []string{fmt.Sprintf("%d apps of one worker", fleetApps), "PM2", "muster"}}
	pm2, err := b.manyApps(ctx, b.newPM2)
	if err != nil {
		return nil, err
	}
	muster, err := b.manyApps(ctx, b.newMuster)
	if err != nil {
		return nil, err
	}
	for i, name := range []string{
		"start from one file, s", "list, ms", "PSS of the daemon, MB", "PSS of a master, median, MB",
		fmt.Sprintf("CPU of the daemon while idle, %% of one, over %.0f s", b.idle().Seconds()), "CPU of the masters, all together, %", "reload all, s", "stop all, s",
	} {
		apps.lines = append(apps.lines, []string{name, pm2[i], muster[i]})
	}
	workers, err := b.manyWorkers(ctx)
	if err != nil {
		return nil, err
	}
	return []result{apps, workers}, nil
}

// idle is how long nothing happens.
func (b *bench) idle() time.Duration { return 12 * b.time }

// missing stands for what a manager does not have, or what is not asked of it.
const missing = "–"

// manyApps starts many apps, lets them be, and ends them. What PM2 is not asked is left out.
func (b *bench) manyApps(ctx context.Context, open func(context.Context) (*manager, error)) ([]string, error) {
	m, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer m.close()
	var apps []appSpec
	for i := range fleetApps {
		apps = append(apps, appSpec{name: fmt.Sprintf("app%03d", i), binary: b.self, workers: 1, fork: true, env: map[string]string{serveOn: "127.0.0.1:0"}})
	}
	took, err := m.startApps(ctx, apps...)
	if err != nil {
		return nil, err
	}
	b.say("%s: %d apps started after %v", m.name, fleetApps, took)
	if _, err := m.settled(ctx, fleetApps); err != nil {
		return nil, err
	}
	listed, err := m.listTime(ctx, fleetLists)
	if err != nil {
		return nil, err
	}
	daemon, err := m.daemon(ctx, m)
	if err != nil {
		return nil, err
	}
	figures := []string{seconds(took), fmt.Sprintf("%.0f", listed), fmt.Sprintf("%.1f", pss(daemon))}
	if m.name == "PM2" {
		return append(figures, missing, missing, missing, missing, missing), nil
	}
	rest, err := b.mastersAtRest(ctx, m, daemon)
	if err != nil {
		return nil, err
	}
	figures = append(figures, rest...)
	for _, verb := range []string{"reload", "stop"} {
		_, took, err := m.run(ctx, verb, "all")
		if err != nil {
			return nil, err
		}
		b.say("%s: %s all after %v", m.name, verb, took)
		figures = append(figures, seconds(took))
	}
	return figures, nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

// mastersAtRest weighs the masters, and tells what they and the daemon use while nothing happens.
func (b *bench) mastersAtRest(ctx context.Context, m *manager, daemon int) ([]string, error) {
	apps, err := m.apps(ctx)
	if err != nil {
		return nil, err
	}
	var sizes []float64
	var masters []int
	for _, a := range apps {
		sizes, masters = append(sizes, pss(a.PID)), append(masters, a.PID)
	}
	before, beforeAll := cpuSeconds(daemon), cpuOf(masters)
	pause(ctx, b.idle())
	percent := 100 / b.idle().Seconds()
	return []string{
		fmt.Sprintf("%.1f", median(sizes)), fmt.Sprintf("%.2f", (cpuSeconds(daemon)-before)*percent), fmt.Sprintf("%.2f", (cpuOf(masters)-beforeAll)*percent),
	}, ctx.Err()
}

func cpuOf(pids []int) (sum float64) {
	for _, pid := range pids {
		sum += cpuSeconds(pid)
	}
	return sum
}

// manyWorkers runs one app with many workers, of which some are killed at once.
func (b *bench) manyWorkers(ctx context.Context) (*report, error) {
	m, err := b.newMuster(ctx)
	if err != nil {
		return nil, err
	}
	defer m.close()
	started, err := m.startApps(ctx, appSpec{name: "bench", binary: b.self, workers: fleetWorkers, surge: fleetSurge, env: map[string]string{serveOn: "127.0.0.1:0"}})
	if err != nil {
		return nil, err
	}
	b.say("%d workers serve after %v", fleetWorkers, started)
	apps, err := m.apps(ctx)
	if err != nil || len(apps) != 1 {
		return nil, errors.Join(err, fmt.Errorf("%d apps", len(apps)))
	}
	size := pss(apps[0].PID)
	_, reloaded, err := m.run(ctx, "reload", "bench")
	if err != nil {
		return nil, err
	}
	b.say("reloaded after %v", reloaded)
	replaced, err := m.killMany(ctx)
	if err != nil {
		return nil, err
	}
	_, stopped, err := m.run(ctx, "stop", "bench")
	return &report{header: []string{fmt.Sprintf("one app, %d workers", fleetWorkers), "muster"}, lines: [][]string{
		{"start until all serve, s", seconds(started)},
		{"PSS of the master, MB", fmt.Sprintf("%.1f", size)},
		{fmt.Sprintf("reload with surge: %d, s", fleetSurge), seconds(reloaded)},
		{fmt.Sprintf("SIGKILL of %d at once, until all serve, s", fleetKilled), seconds(replaced)},
		{"stop, s", seconds(stopped)},
	}}, err
}

// killMany kills some workers at once, and returns how long it takes until as many serve as before.
func (m *manager) killMany(ctx context.Context) (time.Duration, error) {
	all, err := m.settled(ctx, fleetWorkers)
	if err != nil {
		return 0, err
	}
	_, before, err := m.servingNow(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for _, w := range all[:fleetKilled] {
		if err := syscall.Kill(w.pid, syscall.SIGKILL); err != nil {
			return 0, fmt.Errorf("kill worker: %w", err)
		}
	}
	for time.Since(began) < settleTimeout && ctx.Err() == nil {
		serving, respawns, err := m.servingNow(ctx)
		if err != nil {
			return 0, err
		}
		if serving == fleetWorkers && respawns >= before+fleetKilled {
			return time.Since(began), nil
		}
		pause(ctx, 250*time.Millisecond) // the answer names a thousand workers
	}
	return 0, errors.Join(errors.New("the workers that were killed are not replaced"), ctx.Err())
}

// servingNow is how many slots of the only app are served, and how many workers were replaced so far.
func (m *manager) servingNow(ctx context.Context) (serving, respawns int, err error) {
	apps, err := m.apps(ctx)
	if err != nil || len(apps) != 1 || apps[0].App == nil {
		return 0, 0, errors.Join(err, fmt.Errorf("%d apps", len(apps)))
	}
	return apps[0].App.Serving, apps[0].App.Respawns, nil
}
