package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/musterd/muster/internal/app"
	"go.yaml.in/yaml/v3"
)

// LoadDump reads what pm2 save has written: a list of processes, each with its options and its whole environment. Processes of one name are
// workers of one app. Which variables were in an app's file, and which in the shell that started it, the dump does not say: those that have
// the same value in the environment of Lookup are left out, as are those that PM2 and shells make by themselves.
func LoadDump(file string, o Options) ([]Entry, []Note, error) {
	if o.Lookup == nil {
		o.Lookup = os.LookupEnv
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("read what PM2 has saved in %s: %s", file, reasonOf(err))
	}
	var processes []map[string]any
	if err := json.Unmarshal(data, &processes); err != nil {
		return nil, nil, fmt.Errorf("read what PM2 has saved in %s: %w", file, err)
	}
	r := &reader{Options: o, environments: map[string]bool{}}
	s := &source{reader: r, file: file, dir: filepath.Dir(file), isLiteral: true}
	for _, group := range byName(processes) {
		s.dumped(group)
	}
	r.checkNames()
	if len(r.errs) > 0 {
		return r.entries, r.notes, Errors(r.errs).Sorted()
	}
	return r.entries, r.notes, nil
}

// byName gathers the processes of each app, in their order.
func byName(processes []map[string]any) [][]map[string]any {
	var groups [][]map[string]any
	for _, p := range processes {
		i := slices.IndexFunc(groups, func(g []map[string]any) bool { return g[0]["name"] == p["name"] })
		if i < 0 {
			groups = append(groups, []map[string]any{p})
			continue
		}
		groups[i] = append(groups[i], p)
	}
	return groups
}

// dumpedAs are the options that a dump has under names of its own.
var dumpedAs = map[string]string{
	"pm_exec_path": "script", "pm_cwd": "cwd", "exec_interpreter": "interpreter", "pm_out_log_path": "out_file", "pm_err_log_path": "error_file", "pm_log_path": "log_file",
}

// kept are the options of a dump that say something of the app, by the names that they have there.
var kept = []string{
	"name", "namespace", "args", "node_args", "exec_mode", "instance_var", "increment_var", "uid", "gid", "autorestart", "stop_exit_codes", "min_uptime", "max_restarts",
	"max_memory_restart", "cron_restart", "kill_timeout", "shutdown_with_message", "wait_ready", "listen_timeout", "restart_delay", "exp_backoff_restart_delay", "watch", "ignore_watch", "watch_delay",
	"log_type", "log_date_format", "time", "disable_logs",
}

// dumped reads an app of which these are the processes.
func (s *source) dumped(group []map[string]any) {
	first := group[0]
	options := map[string]any{}
	for _, name := range kept {
		if value, ok := first[name]; ok && value != nil && value != "" {
			options[name] = value
		}
	}
	for name, as := range dumpedAs {
		if text, ok := first[name].(string); ok && text != "" && filepath.Dir(text) != filepath.Join(s.dir, "logs") { // else it is PM2's own choice
			options[as] = text
		}
	}
	name := fmt.Sprint(first["name"])
	script, cwd := fmt.Sprint(options["script"]), fmt.Sprint(options["cwd"])
	if rel, err := filepath.Rel(cwd, script); err == nil && filepath.IsLocal(rel) && cwd != "/" {
		options["script"] = rel
	}
	if options["interpreter"] == ours[filepath.Ext(script)] {
		delete(options, "interpreter")
	}
	if options["exec_mode"] == "cluster_mode" || len(group) > 1 {
		options["instances"] = len(group)
	}
	for _, flag := range []string{"treekill", "autostart"} {
		if first[flag] == false {
			s.note(Position{File: s.file}, fmt.Sprintf("app %s: %s: false is left out: what a worker has started ends with it, and every app of a file is started", name, flag))
		}
	}
	env, left := s.ownVariables(first)
	options["env"] = env
	if left > 0 {
		s.note(Position{File: s.file}, fmt.Sprintf("app %s: %d variables are left out, which this shell has too, or which PM2 and shells make", name, left))
	}
	s.fromOptions(options)
}

// fromOptions reads an app from the options of a file.
func (s *source) fromOptions(options map[string]any) {
	data, err := json.Marshal(options)
	var doc yaml.Node
	if err == nil {
		err = yaml.Unmarshal(data, &doc)
	}
	if err != nil {
		s.fail(Position{File: s.file}, err.Error(), "")
		return
	}
	nowhereIn(&doc)
	s.pm2App(doc.Content[0], nil, len(s.entries))
}

// nowhereIn forgets lines and columns, which are those of no file.
func nowhereIn(n *yaml.Node) {
	n.Line, n.Column = 0, 0
	for _, below := range n.Content {
		nowhereIn(below)
	}
}

// theirs are variables that PM2 and shells make by themselves.
var theirs = []string{
	"unique_id", "PWD", "OLDPWD", "SHLVL", "_", "TERM", "COLORTERM", "LS_COLORS", "LSCOLORS", "SHELL", "USER", "LOGNAME", "HOME", "MAIL", "LANG", "DISPLAY", "WINDOWID", "TTY", "PS1",
	"SUDO_USER", "SUDO_UID", "SUDO_GID", "SUDO_COMMAND", "INIT_CWD", "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID",
}

// ownVariables are those of the app, and how many were left out.
func (s *source) ownVariables(process map[string]any) (own map[string]any, left int) {
	own = map[string]any{}
	env, _ := process["env"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		text := fmt.Sprint(env[name])
		here, isHere := s.Lookup(name)
		switch {
		case name == process["name"], name == process["instance_var"] || name == app.DefaultInstanceVar: // PM2's own, for whatever reason
		case isHere && here == text, slices.Contains(theirs, name), name == "PATH":
			left++
		case hasPrefix(name, "PM2_", "SSH_", "XDG_", "LC_", "npm_", "DBUS_", "VSCODE_", "TERM_", "NVM_", "MUSTER_"):
			left++
		default:
			own[name] = env[name]
		}
	}
	return own, left
}

func hasPrefix(text string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(text, p) })
}
