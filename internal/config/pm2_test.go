package config_test

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
	"github.com/musterd/muster/internal/testutil"
)

// pm2Spec is what every app of PM2 has.
func pm2Spec(name string, command ...string) app.Spec {
	return app.Spec{Name: name, Command: command, Workers: "1", StopSignal: "INT", InstanceVar: "NODE_APP_INSTANCE,pm_id",
		Env: map[string]string{"name": name, "namespace": "default", "exec_mode": "fork_mode"}}
}

func with(s app.Spec, change func(*app.Spec)) app.Spec {
	s.Env = maps.Clone(s.Env)
	change(&s)
	return s
}

// ecosystem reads the text as a file of PM2 of that name.
func ecosystem(t *testing.T, name, text string, o config.Options) ([]config.Entry, []string, error) {
	t.Helper()
	dir := write(t, map[string]string{
		name: text, "server.js": "", "bin/www": "#!/usr/bin/env node\n", "worker.py": "", "run.pl": "", "my script.js": "",
	})
	entries, notes, err := config.Load(filepath.Join(dir, name), o)
	texts := make([]string, len(notes))
	for i, n := range notes {
		texts[i] = strings.TrimPrefix(n.String(), dir+"/")
	}
	return entries, texts, shortened(err, dir)
}

// The texts are what stands in a file in JavaScript as well.
func TestEcosystem(t *testing.T) {
	t.Parallel()
	api := pm2Spec("api", "server.js")
	tests := []struct {
		name, text string
		want       app.Spec
	}{
		{"least", `{name: 'api', script: 'server.js'}`, api},
		{"cluster", `{name: 'api', script: './server.js', instances: 'max', exec_mode: 'cluster', wait_ready: true, kill_timeout: 3000, max_memory_restart: '1G'}`,
			with(pm2Spec("api", "./server.js"), func(s *app.Spec) {
				s.Workers, s.Ready, s.StopTimeout, s.MaxMemory, s.Env["exec_mode"] = "max", "message", app.Duration(3e9), 1<<30, "cluster_mode"
			})},
		{"another user", `{name: 'api', script: 'server.js', uid: 33, gid: 'www-data'}`, with(api, func(s *app.Spec) { s.User, s.Group = "33", "www-data" })},
		{"instances", `{name: 'api', script: 'server.js', instances: 0}`, with(api, func(s *app.Spec) { s.Workers, s.Env["exec_mode"] = "max", "cluster_mode" })},
		{"fewer instances", `{name: 'api', script: 'server.js', instances: -1}`, with(api, func(s *app.Spec) { s.Workers, s.Env["exec_mode"] = "-1", "cluster_mode" })},
		{"name of the script", `{script: 'bin/www'}`, pm2Spec("www", "node", "bin/www")},
		{"environment", `{name: 'api', script: 'server.js', env: {A: 1, B: true, C: {d: [1, "x"]}, D: null, name: 'own'}, env_production: {A: 2}, port: 3000}`,
			with(api, func(s *app.Spec) {
				s.Env = map[string]string{"A": "1", "B": "true", "C": `{"d":[1,"x"]}`, "D": "null", "name": "own", "PORT": "3000", "namespace": "default", "exec_mode": "fork_mode"}
			})},
		{"arguments", `{name: 'api', script: 'server.js', args: "--a \"b c\" 'd e'f", node_args: ['--max-old-space-size=100', '-r', './x.js']}`,
			pm2Spec("api", "node", "--max-old-space-size=100", "-r", "./x.js", "server.js", "--a", "b c", "d ef")},
		{"interpreter", `{name: 'api', script: 'worker.py', interpreter: '/usr/bin/python3', interpreter_args: '-O', args: ['x y']}`, pm2Spec("api", "/usr/bin/python3", "-O", "worker.py", "x y")},
		{"by extension", `{name: 'api', script: 'worker.py'}`, pm2Spec("api", "worker.py")},
		{"by extension, as PM2", `{name: 'api', script: 'run.pl'}`, pm2Spec("api", "perl", "run.pl")},
		{"by extension, with options", `{name: 'api', script: 'worker.py', interpreterArgs: '-O'}`, pm2Spec("api", "python3", "-O", "worker.py")},
		{"program", `{name: 'api', script: 'npm', args: 'run start -- --x'}`, pm2Spec("api", "npm", "run", "start", "--", "--x")},
		{"none", `{name: 'api', script: './tool', interpreter: 'none'}`, pm2Spec("api", "./tool")},
		{"command line", `{name: 'api', script: 'node server.js --port 1'}`, pm2Spec("api", "node", "server.js", "--port", "1")},
		{"for a shell", `{name: 'api', script: 'cd x && node $Y'}`, pm2Spec("api", "bash", "-c", "cd x && node $Y")},
		{"file with a blank", `{name: 'api', script: 'my script.js'}`, pm2Spec("api", "my script.js")},
		{"working directory", `{name: 'api', script: 'www', cwd: 'bin'}`, with(pm2Spec("api", "node", "www"), func(s *app.Spec) { s.Cwd = "bin" })},
		{"variable that counts", `{name: 'api', script: 'server.js', instances: 2, increment_var: 'PORT', instance_var: 'I', env: {PORT: 3000}}`,
			with(pm2Spec("api", "env", "PORT={slot+3000}", "node", "server.js"), func(s *app.Spec) { s.Workers, s.InstanceVar, s.Env["exec_mode"] = "2", "I,pm_id", "cluster_mode" })},
		{"variable that counts from 0", `{name: 'api', script: 'worker.py', increment_var: 'N', env: {N: 0}}`, pm2Spec("api", "env", "N={slot}", "python3", "worker.py")},
		{"logs", `{name: 'api', script: 'server.js', out_file: './out.log', error_file: 'NULL', log_type: 'json', time: true, merge_logs: true}`,
			with(api, func(s *app.Spec) {
				s.LogOut, s.LogErr, s.LogFormat, s.LogTimestamps = "./out.log", "/dev/null", app.LogFormatJSON, new(true)
			})},
		{"one log", `{name: 'api', script: 'server.js', log: 'all.log'}`, with(api, func(s *app.Spec) { s.LogOut, s.LogErr = "all.log", "all.log" })},
		{"no logs", `{name: 'api', script: 'server.js', disable_logs: true}`, with(api, func(s *app.Spec) { s.LogOut, s.LogErr = "/dev/null", "/dev/null" })},
		{"logs of each", `{name: 'api', script: 'server.js', combine_logs: false}`, with(api, func(s *app.Spec) { s.LogFiles = app.LogFilesWorker })},
		{"watch", `{name: 'api', script: 'server.js', watch: ['src', 'lib'], ignore_watch: ['./node_modules', '**/*.log', 'logs/**', 'public/a'], watch_delay: 1000}`,
			with(api, func(s *app.Spec) {
				s.Watch, s.WatchIgnore, s.WatchDelay = []string{"src", "lib"}, []string{"node_modules", "*.log", "logs", "public/a"}, app.Duration(1e9)
			})},
		{"watch all", `{name: 'api', script: 'server.js', watch: true}`, with(api, func(s *app.Spec) { s.Watch = []string{"."} })},
		{"message", `{name: 'api', script: 'server.js', shutdown_with_message: true}`, with(api, func(s *app.Spec) { s.StopMessage = "shutdown" })},
		{"restarts", `{name: 'api', script: 'server.js', min_uptime: '10s', max_restarts: 5, autorestart: true}`,
			with(api, func(s *app.Spec) { s.MinUptime, s.MaxRestarts = app.Duration(10e9), new(5) })},
		{"at times", `{name: 'api', script: 'server.js', cron_restart: '0 3 * * *'}`, with(api, func(s *app.Spec) { s.ReloadAt = "0 3 * * *" })},
		{"at no times", `{name: 'api', script: 'server.js', cron: 0, filter_env: false, vizion: false, pmx: false}`, api},
		{"once", `{name: 'api', script: 'server.js', autorestart: false, max_restarts: 3}`, with(api, func(s *app.Spec) { s.Workers, s.Job = "", true })},
		{"until it succeeds", `{name: 'api', script: 'server.js', stop_exit_codes: [0]}`, with(api, func(s *app.Spec) { s.Workers, s.Job, s.MaxRestarts = "", true, new(16) })},
		{"filter all", `{name: 'api', script: 'server.js', filter_env: true}`, with(api, func(s *app.Spec) { s.EnvDrop = []string{"*"} })},
		{"filter some", `{name: 'api', script: 'server.js', filter_env: ['AWS', 'GH_']}`, with(api, func(s *app.Spec) { s.EnvDrop = []string{"*AWS*", "*GH_*"} })},
		{"no expansion", `{name: 'api', script: 'server.js', env: {A: '${B} $$'}}`, with(api, func(s *app.Spec) { s.Env["A"] = "${B} $$" })},
		{"name with blanks", `{name: 'My API', script: 'server.js'}`, with(pm2Spec("My-API", "server.js"), func(s *app.Spec) { s.Env["name"] = "My API" })},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			entries, _, err := ecosystem(t, "ecosystem.config.yaml", "apps: ["+test.text+"]", options())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]app.Spec{test.want}, specs(entries), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEcosystemForms(t *testing.T) {
	t.Parallel()
	testutil.Need(t, "node")
	const one = `{"name": "api", "script": "server.js"}`
	tests := []struct{ name, file, text string }{
		{"CommonJS", "ecosystem.config.js", "console.log('noise'); module.exports = {apps: " + one + ", deploy: {}}"},
		{"CommonJS by name", "ecosystem.config.cjs", "exports.apps = [" + one + "]; exports.deploy = undefined"},
		{"ES module", "ecosystem.config.mjs", "export default {apps: [" + one + "]}"},
		{"names of an ES module", "ecosystem.config.mjs", "export const apps = [" + one + "]"},
		{"promise", "ecosystem.config.mjs", "export default Promise.resolve({pm2: [" + one + "]})"},
		{"function", "ecosystem.config.js", "module.exports = () => [" + one + "]"},
		{"any name", "api.config.js", "module.exports = " + one},
		{"list", "process.json", "[" + one + "]"},
		{"one app", "pm2.json", one},
		{"JSON", "ecosystem.json", `{"apps": [` + one + `]}`},
		{"JSON as PM2 has it", "ecosystem.config.json", "// an app\n{apps: [" + one + ",]}"},
		{"YAML", "ecosystem.config.yml", "apps:\n  - name: api\n    script: server.js\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			entries, _, err := ecosystem(t, test.file, test.text, options())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]app.Spec{pm2Spec("api", "server.js")}, specs(entries)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEcosystemEnvironments(t *testing.T) {
	t.Parallel()
	testutil.Need(t, "node")
	const text = `module.exports = {
  apps: [{name: 'a', script: 'server.js', env: {A: 1, B: 1, C: 1}, env_production: {A: 2}, append_env_to_name: true}, {name: 'b', script: 'server.js'}],
  deploy: {production: {env: {A: 3, B: 3}}},
}`
	o := options()
	o.Environment = "production"
	entries, notes, err := ecosystem(t, "ecosystem.config.js", text, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"A": "2", "B": "3", "C": "1", "name": "a-production", "namespace": "default", "exec_mode": "fork_mode"}, entries[0].Env); diff != "" {
		t.Error(diff)
	}
	if entries[0].Name != "a-production" || entries[1].Name != "b" {
		t.Errorf("names %s, %s", entries[0].Name, entries[1].Name)
	}
	want := []string{"ecosystem.config.js:3:3: deploy is left alone: muster deploys nothing; let the pipeline or ssh do that, and muster reload"}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Error(diff)
	}
	o.Environment = "staging"
	_, _, err = ecosystem(t, "ecosystem.config.js", text, o)
	checkErrors(t, err, []string{"ecosystem.config.js: no app has an environment staging; hint: the environments are production"})
}

func TestEcosystemNotes(t *testing.T) {
	t.Parallel()
	testutil.Need(t, "node")
	const text = `module.exports = {
  apps: [{
    name: 'a b',
    script: 'server.js',
    namespace: 'shop',
    listen_timeout: 3000,
    restart_delay: 100,
    log_date_format: 'YYYY',
    pid_file: 'x.pid',
    source_map_support: true,
    autorestart: false,
    cron_restart: '0 3 * * *',
    log_file: 'a.log', out_file: 'b.log',
    pmx: true,
    trace: false,
  }],
};`
	entries, notes, err := ecosystem(t, "ecosystem.config.js", text, options())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ecosystem.config.js:5:5: namespace: there are none; muster stop and others take several names, and --only of a file as well",
		"ecosystem.config.js:6:5: listen_timeout: a worker that is not ready by then is killed, and not taken for one that is",
		"ecosystem.config.js:7:5: restart_delay: is left out: what fails again and again is started after longer and longer pauses by itself, from 0.1s to 15s",
		"ecosystem.config.js:8:5: log_date_format: lines get their time, in the form 2026-07-01T12:30:00.000042+02:00",
		"ecosystem.config.js:9:5: pid_file: is left out: nobody needs one; muster show NAME --json tells the processes",
		`ecosystem.config.js:10:5: source_map_support: is left out: write node_args: "--enable-source-maps", which Node has itself`,
		"ecosystem.config.js:3:11: the app is called a-b here: the name of an app has no blanks or signs",
		"ecosystem.config.js:12:19: cron_restart: the app runs at these times only, not when it is started as well",
		"ecosystem.config.js:13:34: log_file is left out: muster writes each line to one file",
	}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Error(diff)
	}
	if entries[0].Env["name"] != "a b" || entries[0].Env["namespace"] != "shop" || entries[0].Schedule != "0 3 * * *" {
		t.Errorf("%+v", entries[0].Spec)
	}
}

func TestEcosystemErrors(t *testing.T) {
	t.Parallel()
	testutil.Need(t, "node")
	tests := []struct {
		name, file, text string
		want             []string
	}{
		{"misspelt", "ecosystem.config.js", "module.exports = {\n  apps: [{\n    name: 'api',\n    script: 'server.js',\n    max_memroy_restart: '1G',\n    instnaces: 2,\n    what: 1,\n  }],\n};", []string{
			`ecosystem.config.js:5:5: PM2 has no option "max_memroy_restart", and leaves it out without a word; hint: did you mean max_memory_restart?`,
			`ecosystem.config.js:6:5: PM2 has no option "instnaces", and leaves it out without a word; hint: did you mean instances?`,
			`ecosystem.config.js:7:5: PM2 has no option "what", and leaves it out without a word; hint: leave it out; a variable of the program's belongs into env`,
		}},
		{"values", "ecosystem.config.js", `module.exports = {apps: [{
name: 'api', script: 'server.js',
exec_mode: 'clustre',
max_memory_restart: 'lots',
wait_ready: 'yes',
env: 'A=1',
log_type: 'xml',
treekill: false,
autostart: false,
stop_exit_codes: [1],
increment_var: 'PORT',
interpreter: 'node@18',
ignore_watch: [/x/],
max_restarts: '5',
}]}`, []string{
			`ecosystem.config.js:3:12: exec_mode "clustre": is not known; hint: write cluster or fork; muster shares the sockets of Node programs in both`,
			`ecosystem.config.js:4:21: max_memory_restart "lots": is not a size; hint: write a number with a unit, as 512M or 1.5G; a bare number counts bytes`,
			`ecosystem.config.js:5:13: wait_ready wants true or false, not the text "yes"`,
			`ecosystem.config.js:6:6: env wants names and values, not the text "A=1"`,
			`ecosystem.config.js:7:11: log_type "xml": is not known; hint: write json, or leave it out`,
			"ecosystem.config.js:8:1: treekill: what a worker has started always ends with it; hint: let what shall outlive the worker be an app of its own",
			"ecosystem.config.js:9:1: autostart: every app of a file is started; hint: leave the app out, or start the others: --only NAME",
			"ecosystem.config.js:10:18: stop_exit_codes: only 0 can mean that the work is done; hint: have the program end with 0 when it shall not be started again",
			"ecosystem.config.js:11:16: increment_var: PORT has no whole number in env to begin with; hint: write env: {PORT: 3000}",
			"ecosystem.config.js:12:14: interpreter: muster does not look for Node 18 in nvm; hint: name the program: nvm which 18 prints its path",
			"ecosystem.config.js:13:15: ignore_watch: a regular expression is no pattern here; hint: write names and patterns, as node_modules, *.log or public/assets",
			`ecosystem.config.js:14:15: max_restarts wants a whole number, not the text "5"`,
		}},
		{"computed", "ecosystem.config.js", "const a = n => ({name: n, script: 'server.js', [n + 'x']: 1});\nmodule.exports = {apps: [a('one'), a('two')]};", []string{
			`ecosystem.config.js: app one: PM2 has no option "onex", and leaves it out without a word; hint: leave it out; a variable of the program's belongs into env`,
			`ecosystem.config.js: app two: PM2 has no option "twox", and leaves it out without a word; hint: leave it out; a variable of the program's belongs into env`,
		}},
		{"what an app refuses", "ecosystem.config.yaml", "{apps: [{name: 'a', script: 'server.js',\n  instances: 'lots'}, {name: 'b', script: 'server.js', instances: 2, autorestart: false}]}", []string{
			`ecosystem.config.yaml:2:14: workers "lots": is not a number of workers; hint: write a number, "max" (one per CPU), "50%" of the CPUs, or "-1" (all CPUs but one)`,
			"ecosystem.config.yaml:2:83: what is not started again when it ends is a job, and has one worker, not 2; hint: leave instances out; or let the app be started again",
		}},
		{"no script", "ecosystem.config.yaml", "{apps: [{name: 'a'}]}", []string{`ecosystem.config.yaml:1:9: names no script; hint: write script: "server.js"`}},
		{"no apps", "ecosystem.config.yaml", "{app: []}", []string{
			`ecosystem.config.yaml:1:1: there are no apps; hint: write module.exports = {apps: [{name: "api", script: "server.js"}]}`,
			`ecosystem.config.yaml:1:2: there is no key "app"; hint: did you mean apps?`,
		}},
		{"static", "ecosystem.config.yaml", "{apps: [], static: []}", []string{"ecosystem.config.yaml:1:12: static: muster serves no files; hint: add an app with any server of files, as npx serve"}},
		{"nothing", "ecosystem.config.js", "module.exports = null", []string{`ecosystem.config.js: is empty; hint: write module.exports = {apps: [{name: "api", script: "server.js"}]}`}},
		{"number", "ecosystem.config.yaml", "{apps: 5}", []string{`ecosystem.config.yaml:1:8: apps wants a list of apps, not 5; hint: write module.exports = {apps: [{name: "api", script: "server.js"}]}`}},
		{"syntax", "ecosystem.config.js", "module.exports = {\n  apps: [}\n", []string{"ecosystem.config.js:2: node could not read it: SyntaxError: Unexpected token '}'"}},
		{"throws", "ecosystem.config.js", "\n\nthrow new Error('no');", []string{"ecosystem.config.js:3:7: node could not read it: Error: no"}},
		{"YAML", "ecosystem.config.yaml", "apps:\n  - name: a\n    scrpt: x\n", []string{
			`ecosystem.config.yaml:2:5: names no script; hint: write script: "server.js"`,
			`ecosystem.config.yaml:3:5: PM2 has no option "scrpt", and leaves it out without a word; hint: did you mean script?`,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := ecosystem(t, test.file, test.text, options())
			checkErrors(t, err, test.want)
		})
	}
}
