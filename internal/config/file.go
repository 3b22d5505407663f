package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	keyApps         = "apps"
	keyDefaults     = "defaults"
	keyInclude      = "include"
	keyEnvironments = "environments"
	keyName         = "name"
	keyCommand      = "command"
	keyWatch        = "watch"
	keyDependsOn    = "depends_on"
)

const appsHint = "write apps:, and below it an app each: - name: api"

// muster reads muster's own form.
func (s *source) muster(data []byte, parse func([]byte) (*yaml.Node, bool)) {
	root, ok := parse(data)
	switch {
	case !ok:
	case root == nil || isNull(s.follow(root)):
		s.fail(Position{File: s.file}, "is empty", appsHint)
	default:
		s.document(s.follow(root))
	}
}

// document reads what a file holds.
func (s *source) document(root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		s.fail(s.at(root), "an app file begins with keys, not with "+kindOf(root), appsHint)
		return
	}
	var apps, defaults, include *yaml.Node
	for _, p := range s.pairs(root) {
		switch {
		case p.key == keyApps:
			apps = p.value
		case p.key == keyDefaults:
			defaults = p.value
		case p.key == keyInclude:
			include = p.value
		case !strings.HasPrefix(p.key, "x-"):
			s.fail(s.at(p.at), fmt.Sprintf("there is no key %q", p.key), rootHint(p.key))
		}
	}
	if apps == nil && include == nil && len(s.errs) == 0 {
		s.fail(s.at(root), "there are no apps", appsHint)
	}
	s.apps(apps, defaults)
	s.includes(include)
}

func rootHint(key string) string {
	if _, ok := specFields[key]; ok {
		return "it belongs to an app, below apps:, or to all of them, below defaults:"
	}
	return nearestOr(key, []string{keyApps, keyDefaults, keyInclude}, "what begins with x- is left alone; else the keys of a file are ", "")
}

// apps reads the apps: a list, or a mapping of their names.
func (s *source) apps(n, defaults *yaml.Node) {
	if n == nil || isNull(n) {
		n = &yaml.Node{Kind: yaml.SequenceNode}
	}
	if defaults != nil && !isNull(defaults) && len(n.Content) == 0 {
		s.apply(newDraft(), defaults, partDefaults) // no app would show what is wrong with them
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for _, item := range n.Content {
			item = s.follow(item)
			s.app("", s.at(item), item, defaults)
		}
	case yaml.MappingNode:
		for _, p := range s.pairs(n) {
			s.app(p.key, s.at(p.at), p.value, defaults)
		}
	default:
		s.fail(s.at(n), "apps wants a list or names of apps, not "+kindOf(n), appsHint)
	}
}
