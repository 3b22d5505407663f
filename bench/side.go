package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/musterd/muster/internal/testutil/load"
)

// scene is something that happens to apps, and what a manager makes of it, in words; where there are several, one for each of also as well. It is
// given a manager of its own, whose daemon does not run yet.
type scene struct {
	name string
	also []string
	play func(ctx context.Context, b *bench, m *manager) ([]string, error)
}

var scenes = []scene{
	{"reload to a version that cannot start", nil, one(brokenRelease)},
	{"crash loop from 20 s after the start", nil, one(lateCrashLoop)},
	{"SIGKILL of the daemon", nil, one(daemonKilled)},
	{"the daemon is replaced by a new one", nil, one(daemonReplaced)},
	{"misspelt key in the app file", nil, one(misspelt)},
	{"reload of 4 workers, program without signal handler", nil, one(reloadScene(""))},
	{"reload of 4 workers, program that closes its server", nil, one(reloadScene("1"))},
	{"50 apps: start from one file", []string{"50 apps: list", "50 apps: PSS of the daemon", "50 apps: PSS of each, with what manages it alone"}, fiftyApps},
}

// one is a scene of one line.
func one(play func(context.Context, *bench, *manager) (string, error)) func(context.Context, *bench, *manager) ([]string, error) {
	return func(ctx context.Context, b *bench, m *manager) ([]string, error) {
		text, err := play(ctx, b, m)
		return []string{text}, err
	}
}

// sideBySide plays each scene under PM2 and under muster.
func sideBySide(ctx context.Context, b *bench) ([]result, error) {
	r := &report{header: []string{"", "PM2", "muster"}}
	for _, s := range scenes {
		if !b.wants(s.name) {
			continue
		}
		pm2, err := b.playUnder(ctx, s, b.newPM2)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		muster, err := b.playUnder(ctx, s, b.newMuster)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		for i, name := range append([]string{s.name}, s.also...) {
			r.lines = append(r.lines, []string{name, pm2[i], muster[i]})
		}
	}
	return []result{r}, nil
}

func (b *bench) playUnder(ctx context.Context, s scene, open func(context.Context) (*manager, error)) ([]string, error) {
	m, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer m.close()
	texts, err := s.play(ctx, b, m)
	if err = errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	b.say("%s: %s: %s", s.name, m.name, strings.Join(texts, ", "))
	return texts, nil
}

// serveApp starts an app of js/app.js and waits until it serves.
func (m *manager) serveApp(ctx context.Context, workers int, more ...string) (addr string, err error) {
	if addr, err = freeAddr(); err != nil {
		return "", err
	}
	app := appSpec{name: "bench", script: "app.js", workers: workers, env: envOf(addr)}
	for i := 0; i+1 < len(more); i += 2 {
		app.env[more[i]] = more[i+1]
	}
	if _, err := m.startApps(ctx, app); err != nil {
		return "", err
	}
	_, err = m.settled(ctx, workers)
	return addr, err
}

// tries gives a command that may fail, and tells how it ended.
func (m *manager) tries(ctx context.Context, args ...string) (out string, code int, took time.Duration, err error) {
	out, took, err = m.run(ctx, args...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return out, exit.ExitCode(), took, nil
	}
	return out, 0, took, err
}

// answered tells how many of a few requests are answered now.
func answered(ctx context.Context, addr string) (string, error) {
	const asked = 20
	r, err := load.Run(ctx, load.Options{Addr: addr, Count: asked, NewConnPerRequest: true, Timeout: patience})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d of %d requests are answered", r.OK, asked), nil
}

func brokenRelease(ctx context.Context, _ *bench, m *manager) (string, error) {
	addr, err := m.serveApp(ctx, 2)
	if err != nil {
		return "", err
	}
	if err := m.write("broken", ""); err != nil {
		return "", err
	}
	_, code, took, err := m.tries(ctx, "reload", "bench")
	if err != nil {
		return "", err
	}
	after, err := answered(ctx, addr)
	return fmt.Sprintf("exit %d after %.1f s; then %s", code, took.Seconds(), after), err
}

// The times of lateCrashLoop.
const (
	healthyFor = 20 * time.Second
	watchedFor = 15 * time.Second
)

func lateCrashLoop(ctx context.Context, _ *bench, m *manager) (string, error) {
	if _, err := m.serveApp(ctx, 1); err != nil {
		return "", err
	}
	pause(ctx, healthyFor)
	all, err := m.workers(ctx, m)
	if err == nil {
		err = m.write("broken", "")
	}
	if err != nil {
		return "", err
	}
	if err := syscall.Kill(all[0].pid, syscall.SIGKILL); err != nil {
		return "", fmt.Errorf("kill worker: %w", err)
	}
	pause(ctx, watchedFor)
	restarts, state, err := m.restarts(ctx)
	return fmt.Sprintf("%d restarts in %.0f s, shown as %s", restarts, watchedFor.Seconds(), state), err
}

// restarts tells how often the only worker of the only app was replaced, and what is said of the app.
func (m *manager) restarts(ctx context.Context) (n int, state string, err error) {
	if m.name == "PM2" {
		var apps []pm2App
		if err := m.read(ctx, &apps, "jlist"); err != nil || len(apps) != 1 {
			return 0, "", errors.Join(err, fmt.Errorf("%d apps", len(apps)))
		}
		return apps[0].Env.Restarts, apps[0].Env.Status, nil
	}
	apps, err := m.apps(ctx)
	if err != nil || len(apps) != 1 || apps[0].App == nil {
		return 0, "", errors.Join(err, fmt.Errorf("%d apps", len(apps)))
	}
	state = string(apps[0].App.State)
	if apps[0].App.Slots[0].CrashLooping {
		state += ", crash-looping"
	}
	return apps[0].App.Respawns, state, nil
}

// during opens connections at a steady rate while something happens, and for a while after it.
func during(ctx context.Context, addr string, total time.Duration, happens func() error) (*seen, error) {
	var s *seen
	var load sync.WaitGroup
	load.Go(func() { s = steadily(ctx, addr, 20*time.Millisecond, total) })
	pause(ctx, 500*time.Millisecond)
	err := happens()
	load.Wait()
	return s, err
}

func (s *seen) lost() string { return fmt.Sprintf("%d of %d requests lost", s.failed, s.asked) }

func daemonKilled(ctx context.Context, _ *bench, m *manager) (string, error) {
	addr, err := m.serveApp(ctx, 2)
	if err != nil {
		return "", err
	}
	s, err := during(ctx, addr, 4*time.Second, func() error {
		pid, err := m.daemon(ctx, m)
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	all, err := m.workers(ctx, m) // starts the next daemon
	return fmt.Sprintf("%s; the next daemon knows %d of 2 workers", s.lost(), len(all)), err
}

func daemonReplaced(ctx context.Context, _ *bench, m *manager) (string, error) {
	addr, err := m.serveApp(ctx, 2)
	if err != nil {
		return "", err
	}
	s, err := during(ctx, addr, 6*time.Second, func() error { return m.replaceDaemon(ctx) })
	if err != nil {
		return "", err
	}
	after, err := answered(ctx, addr)
	return fmt.Sprintf("%s; then %s", s.lost(), after), err
}

// replaceDaemon does what the manual says for a new version of the manager: muster's masters are replaced as well.
func (m *manager) replaceDaemon(ctx context.Context) error {
	if m.name == "PM2" {
		_, _, err := m.run(ctx, "update")
		return err
	}
	if _, _, err := m.run(ctx, "upgrade", "all"); err != nil {
		return err
	}
	pid, err := m.daemon(ctx, m)
	if err != nil {
		return err
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	if err := p.Signal(syscall.SIGUSR2); err != nil {
		return err
	}
	_, err = m.workers(ctx, m)
	return err
}

func misspelt(ctx context.Context, _ *bench, m *manager) (string, error) {
	name, text := m.file([]appSpec{{name: "bench", script: "app.js", workers: 4, env: map[string]string{"PORT": "0"}}})
	text = strings.NewReplacer(`"instances"`, `"instnaces"`, `"workers"`, `"wrokers"`).Replace(text)
	if err := m.write(name, text); err != nil {
		return "", err
	}
	out, code, _, err := m.tries(ctx, "start", name)
	if err != nil {
		return "", err
	}
	if code == 0 {
		all, err := m.workers(ctx, m)
		return fmt.Sprintf("exit 0; %d of 4 workers run", len(all)), err
	}
	first, _, _ := strings.Cut(out, "\n")
	return fmt.Sprintf("exit %d: %s", code, strings.ReplaceAll(first, m.dir+"/", "")), nil
}

// reloadScene counts the requests that are lost while four workers are replaced. Each takes 50 ms.
func reloadScene(grace string) func(context.Context, *bench, *manager) (string, error) {
	return func(ctx context.Context, b *bench, m *manager) (string, error) {
		addr, err := m.serveApp(ctx, 4, "GRACE", grace)
		if err != nil {
			return "", err
		}
		var results [2]*load.Result
		var errs [2]error
		var loads sync.WaitGroup
		for i := range results {
			loads.Go(func() {
				results[i], errs[i] = load.Run(ctx, load.Options{
					Addr: addr, Path: "/slow?ms=50", Clients: loadClients / 2, Duration: b.time, NewConnPerRequest: i == 0, Timeout: 5 * time.Second,
				})
			})
		}
		pause(ctx, 500*time.Millisecond)
		_, took, err := m.run(ctx, "reload", "bench")
		loads.Wait()
		if err := errors.Join(err, errs[0], errs[1]); err != nil {
			return "", err
		}
		return fmt.Sprintf("%.1f s; lost %d of %d on new connections, %d of %d on kept ones",
			took.Seconds(), results[0].Failed(), results[0].Requests, results[1].Failed(), results[1].Requests), nil
	}
}

// fiftyApps starts apps that do nothing, lists them, and weighs all.
func fiftyApps(ctx context.Context, _ *bench, m *manager) ([]string, error) {
	const count, lists = 50, 9
	var apps []appSpec
	for i := range count {
		apps = append(apps, appSpec{name: fmt.Sprintf("app%02d", i), script: "app.js", workers: 1, fork: true, env: map[string]string{"PORT": "0"}})
	}
	took, err := m.startApps(ctx, apps...)
	if err != nil {
		return nil, err
	}
	all, err := m.settled(ctx, count)
	if err != nil {
		return nil, err
	}
	listed, err := m.listTime(ctx, lists)
	if err != nil {
		return nil, err
	}
	daemon, err := m.daemon(ctx, m)
	if err != nil {
		return nil, err
	}
	rest := 0.0
	for _, p := range markedProcesses(m.home) {
		if p.Pid != daemon {
			rest += pss(p.Pid)
		}
	}
	return []string{
		fmt.Sprintf("%.1f s", took.Seconds()), fmt.Sprintf("%.0f ms", listed), fmt.Sprintf("%.1f MB", pss(daemon)),
		fmt.Sprintf("%.1f MB, of which its Node %.1f", rest/count, medianPSS(all)),
	}, nil
}

// listTime is the median time of the command that lists all apps, in milliseconds.
func (m *manager) listTime(ctx context.Context, times int) (float64, error) {
	var all []float64
	for range times {
		_, took, err := m.run(ctx, "list")
		if err != nil {
			return 0, err
		}
		all = append(all, milliseconds(took))
	}
	return median(all), nil
}

func medianPSS(processes []role) float64 {
	var all []float64
	for _, p := range processes {
		all = append(all, pss(p.pid))
	}
	return median(all)
}
