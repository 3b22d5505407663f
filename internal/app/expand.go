package app

import (
	"regexp"
	"strconv"
	"strings"
)

// Vars are the values that Expand puts into a worker's command.
type Vars struct {
	Slot      int
	Listeners []ListenerVars // in the order of the app's listeners; {fd} and {port} mean the first
}

// ListenerVars are what a command may say of one listener.
type ListenerVars struct {
	Name string
	FD   int // number of the descriptor in the worker; negative: it gets none
	Port int // the bound port; 0: it has none, as a Unix socket
}

// placeholder matches what Expand replaces. A brace before it is part of the match, so that {{port}} can be left alone.
var placeholder = regexp.MustCompile(`\{?\{(?:(fd|port)(?:\.([A-Za-z0-9._-]+))?|slot(?:\+(\d{1,9}))?)\}`)

// HasPlaceholders tells whether Expand would change one of args.
func HasPlaceholders(args []string) bool { return uses(args, "") }

// UsesFD tells whether one of args asks for the number of an inherited descriptor.
func UsesFD(args []string) bool { return uses(args, "{fd") }

func uses(args []string, prefix string) bool {
	for _, arg := range args {
		for _, m := range placeholder.FindAllString(arg, -1) {
			if !strings.HasPrefix(m, "{{") && strings.HasPrefix(m, prefix) {
				return true
			}
		}
	}
	return false
}

// Expand replaces {fd}, {fd.NAME}, {port}, {port.NAME}, {slot} and {slot+N} in args. Any other brace stays, and so does a placeholder in
// double braces: {{port}}. The error is an *Error, for a listener that the app does not have.
func Expand(args []string, vars Vars) ([]string, error) {
	out := make([]string, len(args))
	for i, arg := range args {
		expanded, err := expandOne(arg, vars)
		if err != nil {
			return nil, err
		}
		out[i] = expanded
	}
	return out, nil
}

func expandOne(arg string, vars Vars) (string, error) {
	var b strings.Builder
	rest := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(arg, -1) {
		text := arg[m[0]:m[1]]
		if strings.HasPrefix(text, "{{") {
			continue
		}
		value, err := vars.value(text, group(arg, m, 1), group(arg, m, 2), group(arg, m, 3))
		if err != nil {
			return "", err
		}
		b.WriteString(arg[rest:m[0]] + value)
		rest = m[1]
	}
	return b.String() + arg[rest:], nil
}

func group(text string, match []int, n int) string {
	if match[2*n] < 0 {
		return ""
	}
	return text[match[2*n]:match[2*n+1]]
}

// value returns what stands for a placeholder: kind is fd, port or, for the slot, empty; more is what to add to that.
func (v Vars) value(text, kind, name, more string) (string, error) {
	if kind == "" {
		n, _ := strconv.Atoi(more) // digits, or nothing
		return strconv.Itoa(v.Slot + n), nil
	}
	l, err := v.listener(text, name)
	switch {
	case err != nil:
		return "", err
	case kind == "port" && l.Port == 0:
		return "", invalid("command", text, "the listener "+l.Name+" has no port", "")
	case kind == "fd" && l.FD < 0:
		return "", invalid("command", text, "the worker inherits no descriptor", "choose --handoff inherit")
	case kind == "port":
		return strconv.Itoa(l.Port), nil
	}
	return strconv.Itoa(l.FD), nil
}

func (v Vars) listener(text, name string) (ListenerVars, error) {
	if len(v.Listeners) == 0 {
		return ListenerVars{}, invalid("command", text, "the app has no listener", "add one with --listen :3000")
	}
	if name == "" {
		return v.Listeners[0], nil
	}
	names := make([]string, len(v.Listeners))
	for i, l := range v.Listeners {
		if l.Name == name {
			return l, nil
		}
		names[i] = l.Name
	}
	return ListenerVars{}, invalid("command", text, "no listener has that name", "the names are "+strings.Join(names, ", "))
}

// CheckPlaceholders tells whether Expand will know every listener that argv names. New has checked the command as it was written;
// this is for what it became.
func (a App) CheckPlaceholders(argv []string) error {
	vars := Vars{}
	for i, l := range a.Listeners {
		v := ListenerVars{Name: l.Name, FD: 3 + i, Port: 1}
		if l.Network == "unix" {
			v.Port = 0
		}
		vars.Listeners = append(vars.Listeners, v)
	}
	_, err := Expand(argv, vars)
	return err
}
