package e2e

import (
	"encoding/json"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// tellsItsEnvironment is a program that sends its environment to a socket beside it, and serves.
const tellsItsEnvironment = `const net = require('net'), path = require('path')
require('http').createServer((q, s) => s.end()).listen(0)
net.connect(path.join(__dirname, 'ask.sock')).end(JSON.stringify({pid: process.pid, env: process.env}))
`

// pm2Examples is a file as PM2's documentation has them.
const pm2Examples = `module.exports = {
  apps: [
    {name: 'fork', script: './app.js', args: '--one "two words"', env: {NODE_ENV: 'development', DEEP: {a: 1}, OFF: false, COUNT: 3}, env_production: {NODE_ENV: 'production'}},
    {name: 'web', namespace: 'shop', script: 'app.js', instances: 2, exec_mode: 'cluster', increment_var: 'PORT', max_memory_restart: '500M', kill_timeout: 3000, env: {PORT: 3000, NODE_ENV: 'development'}, env_production: {NODE_ENV: 'production', ONLY: 'here'}},
    {name: 'own', script: 'app.js', instances: 2, instance_var: 'INSTANCE_ID', node_args: ['--max-old-space-size=100'], autorestart: true, env: {A: '$HOME'}},
  ],
}
`

// beside runs PM2 and muster in the same folder and the same environment.
type beside struct {
	t    *testing.T
	dir  string
	env  []string
	asks net.Listener
}

func newBeside(t *testing.T) *beside {
	t.Helper()
	node := testutil.Node(t, 22)
	p := &beside{t: t, dir: testutil.TempDir(t)}
	for name, text := range map[string]string{"app.js": tellsItsEnvironment, "ecosystem.config.js": pm2Examples} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.env = []string{
		"HOME=" + p.dir, "PATH=" + filepath.Dir(node) + ":/usr/bin:/bin", "PM2_HOME=" + filepath.Join(p.dir, "pm2"), "PM2_DISABLE_VERSION_CHECK=1",
		"MUSTER_HOME=" + filepath.Join(p.dir, "m"), "OF_THE_SHELL=1", "GORACE=atexit_sleep_ms=0",
	}
	var err error
	if p.asks, err = net.Listen("unix", filepath.Join(p.dir, "ask.sock")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.asks.Close() })
	return p
}

func (p *beside) run(program string, args ...string) string {
	p.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s %v: %v\n%s", filepath.Base(program), args, err, out)
	}
	return string(out)
}

// told are the environments of so many workers, by app and number.
func (p *beside) told(n int, number func(name string) string) map[string]map[string]string {
	p.t.Helper()
	all := map[string]map[string]string{}
	for range n {
		c, err := p.asks.Accept()
		if err != nil {
			p.t.Fatal(err)
		}
		data, err := io.ReadAll(c)
		_ = c.Close()
		var told struct{ Env map[string]string }
		if err == nil {
			err = json.Unmarshal(data, &told)
		}
		if err != nil {
			p.t.Fatalf("%v: %q", err, data)
		}
		name := told.Env["name"]
		all[name+"/"+told.Env[number(name)]] = told.Env
	}
	return all
}

// differs are the variables of the tables in docs/how-to/from-pm2.md: those that only PM2 gives, and those that are different.
func differs(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testutil.Root(), "docs", "how-to", "from-pm2.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "<!-- not given -->")
	table, _, ends := strings.Cut(table, "<!-- end -->")
	if !found || !ends {
		t.Fatal("from-pm2.md has no table of variables that are not given")
	}
	var names []string
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		for i, word := range strings.Split(cells[1], "`") {
			if i%2 == 1 {
				names = append(names, word)
			}
		}
	}
	return names
}

// ours are variables that muster alone gives.
var ours = []string{"MUSTER_APP", "MUSTER_ID", "MUSTER_GENERATION", "MUSTER_SLOT", "MUSTER_WORKER", "NOTIFY_SOCKET", "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID", "PWD", "MUSTER_LISTEN", "NODE_APP_INSTANCE", "pm_id"}

// TestEnvironmentAsUnderPM2: a program that moves from PM2 finds the variables that it found there, but for those that the documentation names.
func TestEnvironmentAsUnderPM2(t *testing.T) {
	t.Parallel()
	pm2, node := testutil.PM2(t), testutil.Node(t, 22)
	p := newBeside(t)
	number := func(name string) string {
		if name == "own" {
			return "INSTANCE_ID"
		}
		return "NODE_APP_INSTANCE"
	}
	t.Cleanup(func() { _ = (&exec.Cmd{Path: node, Args: []string{node, pm2, "kill"}, Dir: p.dir, Env: p.env}).Run() })
	p.run(node, pm2, "start", "ecosystem.config.js", "--env", "production")
	want := p.told(5, number)
	p.run(node, pm2, "save")
	p.run(node, pm2, "kill")

	muster := testutil.Muster(t)
	t.Cleanup(func() { p.run(muster, "kill") })
	p.run(muster, "start", "ecosystem.config.js", "--env", "production")
	p.compare("the file", want, p.told(5, number), differs(t))
	p.run(muster, "delete", "all")

	p.run(muster, "import", "pm2", filepath.Join(p.dir, "pm2", "dump.pm2"))
	p.run(muster, "start", "muster.yaml")
	p.compare("the import", want, p.told(5, number), differs(t))
}

func (p *beside) compare(from string, want, got map[string]map[string]string, not []string) {
	p.t.Helper()
	if a, b := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)); !slices.Equal(a, b) {
		p.t.Fatalf("from %s: workers %v, under PM2 %v", from, b, a)
	}
	for worker, env := range want {
		app, _, _ := strings.Cut(worker, "/")
		excused := append([]string{app}, not...)
		for _, name := range slices.Sorted(maps.Keys(env)) {
			if value, given := got[worker][name]; !slices.Contains(excused, name) && (!given || value != env[name]) {
				p.t.Errorf("from %s, %s: %s=%q, under PM2 %q", from, worker, name, value, env[name])
			}
		}
		for _, name := range slices.Sorted(maps.Keys(got[worker])) {
			if _, given := env[name]; !given && !slices.Contains(ours, name) {
				p.t.Errorf("from %s, %s: %s=%q, which PM2 does not give", from, worker, name, got[worker][name])
			}
		}
	}
}
