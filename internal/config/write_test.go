package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
)

// rewritten writes entries as a muster.yaml and reads that.
func rewritten(t *testing.T, entries []config.Entry) []config.Entry {
	t.Helper()
	text, err := config.Write(entries)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(entries[0].Base, "muster.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	again, notes, err := config.Load(file, options())
	if err != nil || len(notes) > 0 {
		t.Fatalf("%v %v\n%s", notes, err, text)
	}
	return again
}

func TestWhatIsWrittenReadsTheSame(t *testing.T) {
	t.Parallel()
	entries, _, err := ecosystem(t, "ecosystem.config.yaml", `apps:
  - {name: api, script: server.js, instances: 4, exec_mode: cluster, max_memory_restart: 300M, kill_timeout: 3000, wait_ready: true, cron_restart: '0 3 * * *',
     env: {A: '${B} $$ $', C: "two\nlines", D: 'yes', E: 1.50, F: '', G: '# no', H: ' x '}, watch: [src], ignore_watch: [node_modules], time: true}
  - {name: counts, script: server.js, instances: 2, increment_var: PORT, env: {PORT: 3000}, args: ['--a b', '$HOME', "it's", '*'], node_args: '--max-old-space-size=100'}
  - {name: once, script: worker.py, autorestart: false, out_file: ./out.log, uid: 33, filter_env: [AWS], shutdown_with_message: true, max_restarts: 0, min_uptime: 10s}
  - {name: line, script: 'cd x && node $Y', instances: max}
`, options())
	if err != nil {
		t.Fatal(err)
	}
	again := rewritten(t, entries)
	if diff := cmp.Diff(specs(entries), specs(again)); diff != "" {
		t.Error(diff)
	}
	for i := range again {
		if again[i].Base != entries[i].Base || again[i].FileForm != entries[i].FileForm {
			t.Errorf("%+v, %+v", again[i], entries[i])
		}
	}
}

// TestEveryFieldIsWritten: one that is not would be lost.
func TestEveryFieldIsWritten(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"server.js": ""})
	no, five := false, 5
	spec := app.Spec{
		Name: "api", Command: []string{"sh", "-c", "exec sleep $X; true"}, Workers: "50%", Listen: []string{":3000", "web=unix:/run/x.sock"}, Handoff: app.HandoffInherit,
		Env: map[string]string{"A": "null", "B": "0x10", "C": "2026-01-01", "D": "a: b", "E": "- x", "F": "${X}"}, MaxRestarts: &five, MaxMemory: 1 << 30, StopTimeout: app.Duration(90e9),
		DependsOn: app.Dependencies{"db": app.ConditionCompleted}, Limits: map[string]string{"nofile": "1024:4096"}, Watch: []string{"."}, LogRotate: &no, BeforeReload: "test $X = 1", EnvFile: []string{".env"},
	}
	db := app.Spec{Name: "db", Command: []string{"true"}, Job: true}
	entries := []config.Entry{{Spec: spec, Base: dir, FileForm: true}, {Spec: db, Base: dir, FileForm: true}}
	if diff := cmp.Diff(specs(entries), specs(rewritten(t, entries))); diff != "" {
		t.Error(diff)
	}
}

func TestDump(t *testing.T) {
	t.Parallel()
	const text = `[
{"name": "api", "namespace": "default", "pm_exec_path": "DIR/app/server.js", "pm_cwd": "DIR/app", "exec_interpreter": "node", "node_args": [], "exec_mode": "cluster_mode", "instance_var": "NODE_APP_INSTANCE",
 "NODE_APP_INSTANCE": 0, "autorestart": true, "autostart": true, "treekill": true, "vizion": true, "pmx": true, "max_memory_restart": 209715200, "kill_timeout": 3000, "pm_out_log_path": "DIR/logs/api-out-0.log",
 "pm_err_log_path": "/var/log/api.err", "env": {"PATH": "/bin", "HOME": "/root", "SHARED": "same", "MODE": "prod", "PORT": 3000, "api": "{}", "unique_id": "x", "PM2_USAGE": "CLI", "PRICE": "5$"}, "status": "online", "pm_id": 0},
{"name": "tool", "pm_exec_path": "/usr/bin/env", "pm_cwd": "/", "exec_interpreter": "none", "args": ["a b", "c"], "exec_mode": "fork_mode", "treekill": false, "autorestart": false, "env": {}},
{"name": "api", "pm_exec_path": "DIR/app/server.js", "pm_cwd": "DIR/app", "exec_mode": "cluster_mode", "env": {}, "pm_id": 2},
{"name": "old", "pm_exec_path": "DIR/app/old.py", "pm_cwd": "DIR/app", "exec_interpreter": "python2", "node_args": ["-u"], "exec_mode": "fork_mode", "merge_logs": true, "env": {"A": "1"}}
]`
	dir := write(t, map[string]string{"app/server.js": "", "app/old.py": ""})
	file := filepath.Join(dir, "dump.pm2")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	o := config.Options{Lookup: func(name string) (string, bool) { return "same", name == "SHARED" }}
	entries, notes, err := config.LoadDump(file, o)
	if err != nil {
		t.Fatal(err)
	}
	api := with(pm2Spec("api", "server.js"), func(s *app.Spec) {
		s.Workers, s.Cwd, s.MaxMemory, s.StopTimeout, s.LogErr = "2", filepath.Join(dir, "app"), 200<<20, app.Duration(3e9), "/var/log/api.err"
		s.Env["MODE"], s.Env["PORT"], s.Env["PRICE"], s.Env["exec_mode"] = "prod", "3000", "5$", "cluster_mode"
	})
	tool := with(pm2Spec("tool", "/usr/bin/env", "a b", "c"), func(s *app.Spec) { s.Workers, s.Job, s.Cwd = "", true, "/" })
	old := with(pm2Spec("old", "python2", "-u", "old.py"), func(s *app.Spec) { s.Cwd, s.Env["A"] = filepath.Join(dir, "app"), "1" })
	if diff := cmp.Diff([]app.Spec{api, tool, old}, specs(entries)); diff != "" {
		t.Error(diff)
	}
	var texts []string
	for _, n := range notes {
		texts = append(texts, strings.ReplaceAll(n.String(), dir+"/", ""))
	}
	want := []string{
		"dump.pm2: app api: 5 variables are left out, which this shell has too, or which PM2 and shells make",
		"dump.pm2: app tool: treekill: false is left out: what a worker has started ends with it, and every app of a file is started",
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(specs(entries), specs(rewritten(t, entries))); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := config.LoadDump(file, o); err == nil || !strings.Contains(err.Error(), "dump.pm2") {
		t.Error(err)
	}
}
