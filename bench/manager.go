package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/musterd/muster/api"
)

// How long a command of a manager may take, and apps until all their workers serve after it.
const (
	commandTimeout = 10 * time.Minute // a thousand workers on a busy machine
	settleTimeout  = 2 * time.Minute
)

// manager is a process manager with a daemon of its own, told what to do by commands.
type manager struct {
	name    string
	command []string                                              // what each command begins with
	dir     string                                                // the daemon's home, and where commands run
	home    string                                                // the variable that names the home, which marks all that is started
	env     []string                                              // with it
	ends    []string                                              // the command that ends all
	daemon  func(ctx context.Context, m *manager) (int, error)    // its process
	workers func(ctx context.Context, m *manager) ([]role, error) // all processes that serve or wait to
	file    func(apps []appSpec) (name, text string)              // that starts these apps
}

// role is a process of an app.
type role struct {
	app    string
	pid    int
	serves bool // or does what else it is there for; else it waits
}

// newManager gives a manager a folder with the programs. Its daemon does not run yet.
func (b *bench) newManager(m manager) (*manager, error) {
	dir, err := os.MkdirTemp(b.dir, "d")
	if err != nil {
		return nil, err
	}
	m.dir = dir
	return &m, b.writePrograms(dir)
}

// newMuster is muster with a daemon.
func (b *bench) newMuster(context.Context) (*manager, error) {
	m, err := b.newManager(manager{name: "muster", command: []string{b.muster}, ends: []string{"daemon", "stop"}, daemon: musterDaemon, workers: musterWorkers, file: musterFile})
	if err == nil {
		m.home = "MUSTER_HOME=" + filepath.Join(m.dir, "m")
		m.env = []string{m.home, b.nodeFirst()}
	}
	return m, err
}

// newPM2 is PM2.
func (b *bench) newPM2(ctx context.Context) (*manager, error) {
	program, err := findPM2(ctx)
	if err != nil {
		return nil, err
	}
	m, err := b.newManager(manager{name: "PM2", command: []string{b.node, program}, ends: []string{"kill"}, daemon: pm2Daemon, workers: pm2Workers, file: pm2File})
	if err == nil {
		m.home = "PM2_HOME=" + filepath.Join(m.dir, "pm2")
		m.env = []string{m.home, "PM2_DISABLE_VERSION_CHECK=1", b.nodeFirst()}
	}
	return m, err
}

// run gives a command and returns what it wrote and how long it took.
func (m *manager) run(ctx context.Context, args ...string) (string, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := m.cmd(ctx, args...)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		err = fmt.Errorf("%s %v: %w\n%s", m.name, args, err, lastPart(out))
	}
	return string(out), took, err
}

// lastPart is the end of a long text.
func lastPart(text []byte) []byte { return text[max(0, len(text)-2000):] }

// cmd is a command that was not given yet.
func (m *manager) cmd(ctx context.Context, args ...string) *exec.Cmd {
	command := append(append([]string{}, m.command...), args...)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = m.dir, append(os.Environ(), m.env...), time.Second
	return cmd
}

// read gives a command that answers in JSON, which may come behind other lines.
func (m *manager) read(ctx context.Context, into any, args ...string) error {
	out, err := m.cmd(ctx, args...).Output()
	if err != nil {
		return fmt.Errorf("%s %v: %w", m.name, args, err)
	}
	text := string(out)
	if i := strings.LastIndex(text, "\n["); i >= 0 && !strings.HasPrefix(text, "[") && !strings.HasPrefix(text, "{") {
		text = text[i:]
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%s %v: %w", m.name, args, err)
	}
	return nil
}

// close ends all, also after the user's ^C.
func (m *manager) close() {
	_, _, _ = m.run(context.Background(), m.ends...) // what is left of it is killed
	killMarked(m.home)
}

// write puts a file into the manager's folder.
func (m *manager) write(name, text string) error {
	return os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600)
}

// startApps starts these apps by one file, and returns how long that took.
func (m *manager) startApps(ctx context.Context, apps ...appSpec) (time.Duration, error) {
	name, text := m.file(apps)
	if err := m.write(name, text); err != nil {
		return 0, err
	}
	_, took, err := m.run(ctx, "start", name)
	return took, err
}

// appSpec is an app of js programs, or of one that runs by itself.
type appSpec struct {
	name    string
	script  string
	binary  string // absolute, instead of script
	workers int
	env     map[string]string
	spares  int  // PM2 has none
	surge   int  // zero: the default; PM2 has none
	fork    bool // of PM2: not in cluster mode
}

// musterFile writes JSON, which is YAML.
func musterFile(apps []appSpec) (name, text string) {
	var entries []map[string]any
	for _, a := range apps {
		command := "node " + a.script
		if a.binary != "" {
			command = a.binary
		}
		entries = append(entries, map[string]any{
			"name": a.name, "command": command, "workers": a.workers, "spares": a.spares, "surge": max(a.surge, 1), "env": a.env,
		})
	}
	return "muster.yaml", fileOf(entries)
}

func pm2File(apps []appSpec) (name, text string) {
	var entries []map[string]any
	for _, a := range apps {
		mode := "cluster"
		if a.fork {
			mode = "fork"
		}
		entry := map[string]any{"name": a.name, "script": a.script, "instances": a.workers, "exec_mode": mode, "env": a.env}
		if a.binary != "" {
			entry["script"], entry["interpreter"] = a.binary, "none"
		}
		entries = append(entries, entry)
	}
	return "ecosystem.config.js", "module.exports = " + fileOf(entries)
}

func fileOf(entries []map[string]any) string {
	text, err := json.MarshalIndent(map[string]any{"apps": entries}, "", "  ")
	if err != nil {
		panic(err) // strings and numbers can be written
	}
	return string(text) + "\n"
}

var daemonProcess = regexp.MustCompile(`process (\d+)`)

func musterDaemon(ctx context.Context, m *manager) (int, error) {
	out, _, err := m.run(ctx, "daemon", "status")
	if err != nil {
		return 0, err
	}
	found := daemonProcess.FindStringSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("muster daemon status names no process: %s", out)
	}
	return strconv.Atoi(found[1])
}

func musterWorkers(ctx context.Context, m *manager) (all []role, err error) {
	apps, err := m.apps(ctx)
	for _, a := range apps {
		if a.App == nil {
			continue
		}
		for _, slot := range a.App.Slots {
			for _, w := range slot.Workers {
				all = append(all, role{a.Name, w.PID, w.Phase == "serving"})
			}
		}
		for _, w := range a.App.Spares {
			all = append(all, role{a.Name, w.PID, w.Phase == "waiting"})
		}
	}
	return all, err
}

// apps are what muster list tells.
func (m *manager) apps(ctx context.Context) (apps []api.Entry, err error) {
	return apps, m.read(ctx, &apps, "list", "--json")
}

func pm2Daemon(_ context.Context, m *manager) (int, error) {
	text, err := os.ReadFile(filepath.Join(m.dir, "pm2", "pm2.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// pm2App is what we want to know of an element of pm2 jlist.
type pm2App struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	Env  struct {
		Status   string `json:"status"`
		Restarts int    `json:"restart_time"`
	} `json:"pm2_env"`
}

func pm2Workers(ctx context.Context, m *manager) (all []role, err error) {
	var apps []pm2App
	err = m.read(ctx, &apps, "jlist")
	for _, a := range apps {
		if a.PID != 0 {
			all = append(all, role{a.Name, a.PID, a.Env.Status == "online"})
		}
	}
	return all, err
}

// settled waits until so many processes do what they are there for, and no other is there.
func (m *manager) settled(ctx context.Context, want int) ([]role, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for {
		all, err := m.workers(ctx, m)
		if err != nil {
			return nil, err
		}
		able := 0
		for _, w := range all {
			if w.serves {
				able++
			}
		}
		if able == want && len(all) == want || want == 0 {
			return all, nil
		}
		if pause(ctx, 50*time.Millisecond); ctx.Err() != nil {
			state, _, _ := m.run(context.WithoutCancel(ctx), "show", all[0].app)
			return nil, errors.Join(fmt.Errorf("%s: %d of %d processes serve, of %d\n%s", m.name, able, want, len(all), state), ctx.Err())
		}
	}
}
