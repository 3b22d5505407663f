package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/musterd/muster/internal/app"
	"go.yaml.in/yaml/v3"
)

// pm2Option is what becomes of an option of PM2.
type pm2Option struct {
	names  []string             // each also in camel case
	field  string               // of the spec, that means the same
	set    func(m *pm2, p pair) // what else to do
	refuse string               // why muster cannot have it
	hint   string               // and what to do instead
	note   string               // what is different; said unless the value is false
}

// pm2Table are the options of PM2 7. One without field, set, refuse and note changes nothing about how an app runs.
var pm2Table = []pm2Option{
	// What runs.
	{names: []string{"script", "exec", "cmd", "command"}, set: func(m *pm2, p pair) { m.setScript(p) }},
	{names: []string{"args"}, set: func(m *pm2, p pair) { m.args = m.words(p) }},
	{names: []string{"interpreter", "exec_interpreter"}, set: func(m *pm2, p pair) { m.setInterpreter(p) }},
	{names: []string{"node_args", "interpreter_args"}, set: func(m *pm2, p pair) { m.options = m.words(p) }},
	{names: []string{"name"}, set: func(m *pm2, p pair) { m.name, m.fields[keyName] = m.one(p), m.placeOf(p.value) }},
	{names: []string{"cwd"}, set: func(m *pm2, p pair) { m.path("cwd", p) }},
	{names: []string{"uid", "user"}, field: "user"},
	{names: []string{"gid"}, field: "group"},
	{names: []string{"namespace"}, set: func(m *pm2, p pair) { m.namespace(p) }},

	// How many.
	{names: []string{"instances"}, set: func(m *pm2, p pair) { m.instances(p) }},
	{names: []string{"exec_mode", "_mode"}, set: func(m *pm2, p pair) { m.mode(p) }},
	{names: []string{"instance_var"}, set: func(m *pm2, p pair) { m.instanceVar, m.fields["instance_var"] = m.one(p), m.placeOf(p.value) }},
	{names: []string{"increment_var"}, set: func(m *pm2, p pair) { m.counter = p.value }},

	// Its environment.
	{names: []string{"env"}, set: func(m *pm2, p pair) { m.env = p.value }},
	{names: []string{"port"}, set: func(m *pm2, p pair) { m.port = m.one(p) }},
	{names: []string{"append_env_to_name"}, set: func(m *pm2, p pair) { m.namesEnv = m.is(p) }},
	{names: []string{"filter_env"}, set: func(m *pm2, p pair) { m.filter(p) }},

	// Its end, and its next beginning.
	{names: []string{"autorestart"}, set: func(m *pm2, p pair) { m.autorestart(p) }},
	{names: []string{"stop_exit_codes"}, set: func(m *pm2, p pair) { m.stopCodes(p) }},
	{names: []string{"min_uptime"}, field: "min_uptime"},
	{names: []string{"max_restarts"}, field: "max_restarts"},
	{names: []string{"max_memory_restart"}, field: "max_memory"},
	{names: []string{"cron_restart", "cron"}, set: func(m *pm2, p pair) {
		if p.value.Value != "0" {
			m.cron = p.value
		}
	}},
	{names: []string{"kill_timeout"}, field: "stop_timeout"},
	{names: []string{"shutdown_with_message"}, set: func(m *pm2, p pair) {
		if m.is(p) {
			m.spec.StopMessage = "shutdown"
		}
	}},
	{names: []string{"wait_ready"}, set: func(m *pm2, p pair) {
		if m.is(p) {
			m.spec.Ready, m.fields["ready"] = string(app.ReadyMessage), m.placeOf(p.value)
		}
	}},
	{names: []string{"listen_timeout"}, field: "start_timeout", note: "a worker that is not ready by then is killed, and not taken for one that is"},
	{names: []string{"autostart"}, set: func(m *pm2, p pair) {
		if !m.is(p) {
			m.fail(m.at(p.at), "autostart: every app of a file is started", "leave the app out, or start the others: --only NAME")
		}
	}},
	{names: []string{"treekill"}, set: func(m *pm2, p pair) {
		if !m.is(p) {
			m.fail(m.at(p.at), "treekill: what a worker has started always ends with it", "let what shall outlive the worker be an app of its own")
		}
	}},
	{names: []string{"restart_delay", "exp_backoff_restart_delay"}, note: "is left out: what fails again and again is started after longer and longer pauses by itself, from 0.1s to 15s"},

	// Files that change.
	{names: []string{"watch"}, set: func(m *pm2, p pair) { m.setWatch(p) }},
	{names: []string{"ignore_watch"}, set: func(m *pm2, p pair) { m.ignore(p) }},
	{names: []string{"watch_delay"}, field: "watch_delay"},
	{names: []string{"watch_options"}, note: "is left out: the kernel tells what changes, nothing is polled"},

	// Logs.
	{names: []string{"out_file", "out", "output", "out_log"}, set: func(m *pm2, p pair) { m.path("log_out", p) }},
	{names: []string{"error_file", "error", "err", "err_file", "err_log"}, set: func(m *pm2, p pair) { m.path("log_err", p) }},
	{names: []string{"log_file", "log"}, set: func(m *pm2, p pair) { m.logFile(p) }},
	{names: []string{"merge_logs", "combine_logs"}, set: func(m *pm2, p pair) { m.ownLogs = !m.is(p) }},
	{names: []string{"disable_logs"}, set: func(m *pm2, p pair) {
		if m.is(p) {
			m.spec.LogOut, m.spec.LogErr = nowhere, nowhere
		}
	}},
	{names: []string{"log_type"}, set: func(m *pm2, p pair) {
		if text := m.one(p); text == "json" {
			m.spec.LogFormat = app.LogFormatJSON
		} else if text != "" {
			m.fail(m.at(p.value), fmt.Sprintf("log_type %q: is not known", text), "write json, or leave it out")
		}
	}},
	{names: []string{"time"}, set: func(m *pm2, p pair) { m.spec.LogTimestamps = new(m.is(p)) }},
	{names: []string{"log_date_format"}, set: func(m *pm2, p pair) {
		m.spec.LogTimestamps = new(m.one(p) != "")
		m.note(m.at(p.at), "log_date_format: lines get their time, in the form 2026-07-01T12:30:00.000042+02:00")
	}},

	// What is different.
	{names: []string{"pid_file", "pid"}, note: "is left out: nobody needs one; muster show NAME --json tells the processes"},
	{names: []string{"source_map_support"}, note: `is left out: write node_args: "--enable-source-maps", which Node has itself`},
	{names: []string{"post_update"}, note: "is left out: what has to run before new workers is before_reload in muster.yaml"},
	{names: []string{"install_url", "name_prefix", "write"}, note: "is left out: it is for PM2's own modules"},
	{names: []string{"trace", "v8", "event_loop_inspector", "deep_monitoring", "io"}, note: "is left out: it is for PM2's own service"},
	{names: []string{
		"vizion", "pmx", "automation", "windowsHide", "force", "username", "execute_command", "kill_retry_time", "disable_trace", "disable_source_map_support",
	}},
}

// pm2Options are the options by each of their names.
var pm2Options = optionsByName(pm2Table)

func optionsByName(table []pm2Option) map[string]*pm2Option {
	options := map[string]*pm2Option{}
	for i := range table {
		for _, name := range table[i].names {
			options[name], options[camel(name)] = &table[i], &table[i]
		}
	}
	return options
}

// camel is out_file as outFile.
func camel(name string) string {
	words := strings.Split(name, "_")
	for i, word := range words {
		if i > 0 && word != "" {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, "")
}

// nowhere is where lines go that nobody wants.
const nowhere = "/dev/null"

// path sets a field that is a path; a tilde is the home directory.
func (m *pm2) path(field string, p pair) {
	m.field(field, p)
	for name, value := range map[string]*string{"cwd": &m.spec.Cwd, "log_out": &m.spec.LogOut, "log_err": &m.spec.LogErr} {
		if name == field {
			*value = m.atHome(*value)
			if field != "cwd" && *value == "NULL" {
				*value = nowhere
			}
		}
	}
}

func (m *pm2) atHome(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, _ := m.Lookup("HOME"); home != "" {
			return home + "/" + rest
		}
	}
	return path
}

func (m *pm2) namespace(p pair) {
	text := m.one(p)
	m.space = text
	if text != "" && text != "default" {
		m.note(m.at(p.at), "namespace: there are none; muster stop and others take several names, and --only of a file as well")
	}
}

// instances sets how many workers there are; 0 is one for each CPU.
func (m *pm2) instances(p pair) {
	m.field("workers", p)
	m.hasInstances = true
	if m.spec.Workers == "0" {
		m.spec.Workers = "max"
	}
}

func (m *pm2) mode(p pair) {
	switch text := m.one(p); text {
	case "fork", "fork_mode", "cluster", "cluster_mode":
		m.execMode = strings.TrimSuffix(text, "_mode") + "_mode"
	default:
		m.fail(m.at(p.value), fmt.Sprintf("exec_mode %q: is not known", text), "write cluster or fork; muster shares the sockets of Node programs in both")
	}
}

func (m *pm2) autorestart(p pair) {
	if !m.is(p) {
		m.isOnce, m.fields["job"] = true, m.placeOf(p.value)
	}
}

// stopCodes makes a job that is tried again of an app that is started again unless it ends well.
func (m *pm2) stopCodes(p pair) {
	codes := m.list(p)
	if len(codes) == 0 {
		return
	}
	for _, code := range codes {
		if code != "0" {
			m.fail(m.at(p.value), "stop_exit_codes: only 0 can mean that the work is done", "have the program end with 0 when it shall not be started again")
			return
		}
	}
	if !m.isOnce {
		m.isOnce, m.tries, m.fields["job"] = true, true, m.placeOf(p.value)
	}
}

// filter leaves variables of the shell out.
func (m *pm2) filter(p pair) {
	var patterns []string
	switch {
	case p.value.ShortTag() == "!!bool" && p.value.Value == "true":
		patterns = []string{"*"}
	case p.value.ShortTag() == "!!bool":
	case p.value.Kind == yaml.SequenceNode:
		for _, part := range m.list(p) {
			patterns = append(patterns, "*"+part+"*")
		}
	default:
		patterns = []string{m.one(p)}
	}
	m.spec.EnvDrop, m.fields["env_drop"] = patterns, m.placeOf(p.value)
}

func (m *pm2) setWatch(p pair) {
	switch {
	case p.value.ShortTag() == "!!bool" && p.value.Value == "true":
		m.spec.Watch = []string{"."}
	case p.value.ShortTag() != "!!bool":
		m.spec.Watch = m.list(p)
	}
	m.fields[keyWatch] = m.placeOf(p.value)
}

// ignore makes patterns of names of what PM2 takes: globs over paths.
func (m *pm2) ignore(p pair) {
	if p.value.Kind == yaml.MappingNode || p.value.Kind == yaml.SequenceNode && len(p.value.Content) > 0 && p.value.Content[0].Kind == yaml.MappingNode {
		m.fail(m.at(p.value), "ignore_watch: a regular expression is no pattern here", "write names and patterns, as node_modules, *.log or public/assets")
		return
	}
	for _, pattern := range m.list(p) {
		pattern = strings.TrimPrefix(strings.TrimPrefix(pattern, "./"), "**/")
		for _, rest := range []string{"/**/*", "/**", "/*", "/"} {
			pattern = strings.TrimSuffix(pattern, rest)
		}
		m.spec.WatchIgnore = append(m.spec.WatchIgnore, pattern)
	}
	m.fields["watch_ignore"] = m.placeOf(p.value)
}

// logFile sets the file for both streams; true is one that is called as the app.
func (m *pm2) logFile(p pair) {
	switch {
	case p.value.ShortTag() != "!!bool":
		m.allLog = m.atHome(m.one(p))
	case p.value.Value == "true":
		m.note(m.at(p.at), "log_file: true is left out: both streams are in one file anyway, see muster logs")
	}
	m.fields["log_out"] = m.placeOf(p.value)
}

// startOf is the first value of a variable that is one more for each worker.
func (m *pm2) startOf(name string) (int, bool) {
	start, err := strconv.Atoi(m.spec.Env[name])
	if err != nil {
		m.fail(m.at(m.counter), fmt.Sprintf("increment_var: %s has no whole number in env to begin with", name), "write env: {"+name+": 3000}")
	}
	return start, err == nil
}
