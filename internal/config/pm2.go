package config

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/musterd/muster/internal/app"
	"go.yaml.in/yaml/v3"
)

// ecosystem reads a file of PM2. What it says of an app becomes a spec, with what PM2 means where it says nothing.
func (s *source) ecosystem(data []byte) {
	root, ok := s.ecosystemRoot(data)
	switch {
	case !ok:
		return
	case root == nil || isNull(s.follow(root)):
		s.fail(Position{File: s.file}, "is empty", ecosystemHint)
		return
	}
	s.isLiteral = true
	root = s.follow(root)
	var deploy *yaml.Node
	apps := []*yaml.Node{root}
	if root.Kind == yaml.MappingNode {
		apps, deploy = s.ecosystemKeys(root)
	}
	for _, n := range apps {
		s.ecosystemApps(s.follow(n), deploy)
	}
}

const ecosystemHint = `write module.exports = {apps: [{name: "api", script: "server.js"}]}`

// ecosystemRoot returns what a file of PM2 says, in whatever way it is written.
func (s *source) ecosystemRoot(data []byte) (*yaml.Node, bool) {
	switch formOf(s.file) {
	case formYAML:
		return s.parseYAML(data)
	case formJSON:
		before := len(s.errs)
		if root, ok := s.parseJSON(data); ok {
			return root, true
		}
		s.errs = s.errs[:before] // PM2's JSON is JavaScript
		return s.evaluated(asJSON, data)
	default:
		return s.evaluated(asModule, data)
	}
}

func (s *source) evaluated(how string, data []byte) (*yaml.Node, bool) {
	root, ok := s.evaluate(how)
	if ok && root != nil {
		locate(root, string(data))
	}
	return root, ok
}

// ecosystemKeys reads the keys around the apps. A mapping with none of them is an app by itself.
func (s *source) ecosystemKeys(root *yaml.Node) (apps []*yaml.Node, deploy *yaml.Node) {
	pairs := s.pairs(root)
	around := func(p pair) bool { return p.key == keyApps || p.key == "pm2" }
	if !slices.ContainsFunc(pairs, around) {
		if slices.ContainsFunc(pairs, func(p pair) bool { return p.key == "script" || p.key == "name" }) {
			return []*yaml.Node{root}, nil
		}
		s.fail(s.at(root), "there are no apps", ecosystemHint)
	}
	for _, p := range pairs {
		switch {
		case around(p):
			apps = append(apps, p.value)
		case p.key == "deploy":
			deploy = p.value
			s.note(s.at(p.at), "deploy is left alone: muster deploys nothing; let the pipeline or ssh do that, and muster reload")
		case p.key == "static":
			s.fail(s.at(p.at), "static: muster serves no files", "add an app with any server of files, as npx serve")
		default:
			s.fail(s.at(p.at), fmt.Sprintf("there is no key %q", p.key), nearestOr(p.key, []string{keyApps, "deploy", "pm2", "static"}, "the keys of a file are ", ""))
		}
	}
	return apps, deploy
}

func (s *source) ecosystemApps(n, deploy *yaml.Node) {
	switch n.Kind {
	case yaml.SequenceNode:
		for i, item := range n.Content {
			s.pm2App(s.follow(item), deploy, i)
		}
	case yaml.MappingNode:
		s.pm2App(n, deploy, 0)
	default:
		s.fail(s.at(n), "apps wants a list of apps, not "+kindOf(n), ecosystemHint)
	}
}

// pm2 is an app of PM2 while its options are read.
type pm2 struct {
	*source
	*draft
	script       *yaml.Node
	args         []string
	interpreter  string
	options      []string // of the interpreter
	name         string
	port         string
	instanceVar  string     // that tells a worker its number
	hasInstances bool       // their number is given: then Node programs are in PM2's cluster mode
	execMode     string     // fork_mode or cluster_mode; empty: not given
	counter      *yaml.Node // the variable that is one more for each worker
	namesEnv     bool       // the name of the environment goes behind that of the app
	isOnce       bool       // it is not started again when it ends
	tries        bool       // but if it fails
	cron         *yaml.Node
	env          *yaml.Node
	over         *yaml.Node // environment that was chosen
	allLog       string
	ownLogs      bool   // a file for each worker
	space        string // PM2's namespace, which the program may ask for
}

func (s *source) pm2App(n, deploy *yaml.Node, i int) {
	if n.Kind != yaml.MappingNode {
		s.fail(s.at(n), "an app is keys and values, not "+kindOf(n), ecosystemHint)
		return
	}
	before := len(s.errs)
	m := &pm2{source: s, draft: newDraft()}
	m.spec.Workers, m.spec.StopSignal = "1", "INT"
	pairs := s.pairs(n)
	s.label = fmt.Sprintf("app %d", i)
	for _, p := range pairs {
		if p.key == keyName && p.value.Kind == yaml.ScalarNode && !isNull(p.value) {
			s.label = "app " + p.value.Value
		}
	}
	for _, p := range pairs {
		m.option(p)
	}
	m.complete(s.at(n), deploy)
	if len(s.errs) == before {
		s.finish(m.draft, s.at(n))
	}
	s.label = ""
}

// option reads one option of an app.
func (m *pm2) option(p pair) {
	if name, ok := strings.CutPrefix(p.key, "env_"); ok && name != "" && p.key != "env_file" {
		m.environments[name] = true
		if name == m.Environment {
			m.over = p.value
		}
		return
	}
	o, known := pm2Options[p.key]
	switch {
	case !known:
		m.fail(m.at(p.at), fmt.Sprintf("PM2 has no option %q, and leaves it out without a word", p.key), pm2Hint(p.key))
	case isNull(p.value):
	case o.refuse != "":
		m.fail(m.at(p.at), p.key+": "+o.refuse, o.hint)
	case o.field != "":
		m.field(o.field, p)
	case o.set != nil:
		o.set(m, p)
	}
	if known && o.note != "" && !isNull(p.value) && p.value.Value != "false" {
		m.note(m.at(p.at), p.key+": "+o.note)
	}
}

func pm2Hint(name string) string {
	if near, ok := app.Nearest(name, pm2Names); ok {
		return "did you mean " + near + "?"
	}
	return "leave it out; a variable of the program's belongs into env"
}

// field sets a field of the spec that means the same.
func (m *pm2) field(name string, p pair) {
	index, ok := specFields[name]
	if !ok {
		panic("config: there is no field " + name)
	}
	m.fields[name] = m.placeOf(p.value)
	m.decode(reflect.ValueOf(&m.spec).Elem().FieldByIndex(index), p.value, p.key)
}

// text reads a value that is a text.
func (m *pm2) one(p pair) string {
	text, _ := m.scalar(p.value, p.key, "a text")
	return text
}

// is reads a value that is true or false.
func (m *pm2) is(p pair) bool {
	is := false
	m.decode(reflect.ValueOf(&is).Elem(), p.value, p.key)
	return is
}

// words reads a list of words, or a text of several.
func (m *pm2) words(p pair) []string {
	if p.value.Kind == yaml.ScalarNode {
		return split(p.value.Value)
	}
	return m.list(p)
}

func (m *pm2) list(p pair) []string {
	var list []string
	m.decode(reflect.ValueOf(&list).Elem(), p.value, p.key)
	return list
}

// split is how PM2 makes words of a text: at blanks, but for those in quotes.
func split(text string) []string {
	var words []string
	var b strings.Builder
	quote, begun := rune(0), false
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			b.WriteRune(r)
		case r == '"' || r == '\'':
			quote, begun = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if begun {
				words = append(words, b.String())
			}
			b.Reset()
			begun = false
		default:
			b.WriteRune(r)
			begun = true
		}
	}
	if begun {
		words = append(words, b.String())
	}
	return words
}

// complete decides what depends on several options.
func (m *pm2) complete(at Position, deploy *yaml.Node) {
	m.setEnv(deploy)
	m.setName()
	if m.script == nil {
		m.fail(at, "names no script", `write script: "server.js"`)
		return
	}
	m.setCommand()
	m.setVariables()
	m.setJob()
	m.setLogs()
}

// setEnv gathers the variables: those of all environments, of the one that is deployed to, of the one that was chosen.
func (m *pm2) setEnv(deploy *yaml.Node) {
	m.spec.Env = map[string]string{}
	m.variables("env", m.env)
	if deploy != nil && deploy.Kind == yaml.MappingNode && m.Environment != "" {
		m.variables("env", m.below(deploy, m.Environment, "env"))
	}
	m.variables("env_"+m.Environment, m.over)
	if m.port != "" {
		m.spec.Env["PORT"] = m.port
	}
}

// below follows keys down into mappings; nil where there is none.
func (m *pm2) below(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		if n.Kind != yaml.MappingNode {
			return nil
		}
		i := slices.IndexFunc(m.pairs(n), func(p pair) bool { return p.key == key })
		if i < 0 {
			return nil
		}
		n = m.pairs(n)[i].value
	}
	return n
}

// variables reads an environment as PM2 does: what is no text becomes one.
func (m *pm2) variables(name string, n *yaml.Node) {
	switch {
	case n == nil || isNull(n):
		return
	case n.Kind != yaml.MappingNode:
		m.wrong(n, name, "names and values")
		return
	}
	m.fields["env"] = place{Position: m.at(n)}
	for _, p := range m.pairs(n) {
		switch p.value.Kind {
		case yaml.ScalarNode:
			m.spec.Env[p.key] = p.value.Value
		default:
			m.spec.Env[p.key] = m.asJSON(p.value)
		}
	}
}

func (m *pm2) setName() {
	name := m.name
	if name == "" && m.script != nil {
		name = nameOfScript(m.script.Value)
	}
	if m.namesEnv && m.Environment != "" {
		name += "-" + m.Environment
	}
	if name == "" {
		return
	}
	m.spec.Name = app.DeriveName(name)
	if m.name != "" && m.spec.Name != name {
		m.note(m.fields[keyName].Position, fmt.Sprintf("the app is called %s here: the name of an app has no blanks or signs", m.spec.Name))
	}
	m.variable("name", name)
}

// setVariables gives workers those of PM2's own variables that programs ask for. pm_id is the number of the slot: PM2's is unique among all apps.
func (m *pm2) setVariables() {
	m.spec.InstanceVar = cmp.Or(m.instanceVar, app.DefaultInstanceVar) + ",pm_id"
	m.variable("namespace", cmp.Or(m.space, "default"))
	mode := m.execMode
	if mode == "" && m.hasInstances && m.isNode() {
		mode = "cluster_mode"
	}
	m.variable("exec_mode", cmp.Or(mode, "fork_mode"))
}

// isNode tells whether PM2 would have Node run the script.
func (m *pm2) isNode() bool {
	if m.interpreter != "" {
		return filepath.Base(m.interpreter) == "node"
	}
	words := m.spec.Command
	if m.counter != nil && len(words) > 2 {
		words = words[2:] // behind env NAME={slot}
	}
	return len(words) > 0 && (ours[filepath.Ext(words[0])] == "node" || filepath.Base(words[0]) == "node")
}

// variable gives workers one of the variables that PM2 gives them, unless the file does.
func (m *pm2) variable(name, value string) {
	if _, taken := m.spec.Env[name]; !taken && value != "" {
		m.spec.Env[name] = value
	}
}

// setJob makes a job of what is not started again.
func (m *pm2) setJob() {
	when := ""
	if m.cron != nil {
		when = m.cron.Value
	}
	switch {
	case !m.isOnce && when != "":
		m.spec.ReloadAt, m.fields["reload_at"] = when, m.placeOf(m.cron)
	case !m.isOnce:
	case m.spec.Workers != "1":
		m.fail(m.fields["job"].Position, "what is not started again when it ends is a job, and has one worker, not "+m.spec.Workers, "leave instances out; or let the app be started again")
	default:
		m.spec.Job, m.spec.Workers = true, ""
		if when != "" {
			m.spec.Schedule, m.fields["schedule"] = when, m.placeOf(m.cron)
			m.note(m.at(m.cron), "cron_restart: the app runs at these times only, not when it is started as well")
		}
		if m.tries && m.spec.MaxRestarts == nil {
			m.spec.MaxRestarts = new(pm2Tries)
		}
	}
	if !m.tries && m.isOnce {
		m.spec.MaxRestarts = nil
	}
}

// pm2Tries is how often PM2 starts what fails right away, unless max_restarts says so.
const pm2Tries = 16

func (m *pm2) setLogs() {
	if m.allLog != "" {
		if m.spec.LogOut != "" || m.spec.LogErr != "" {
			m.note(m.fields["log_out"].Position, "log_file is left out: muster writes each line to one file")
			return
		}
		m.spec.LogOut, m.spec.LogErr = m.allLog, m.allLog
	}
	if m.ownLogs && m.spec.LogOut == "" && m.spec.LogErr == "" {
		m.spec.LogFiles = app.LogFilesWorker
	}
}

// pm2Names are the options that a misspelt one is compared with.
var pm2Names = slices.Sorted(maps.Keys(pm2Options))
