// Package launch makes a plan of a spec: it resolves everything that depends on this machine, its files, its environment, its CPUs.
package launch

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/musterd/muster/internal/account"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/command"
)

// Plan is what a master needs to know. It holds plain data.
type Plan struct {
	App      app.App          // its Unix sockets have absolute paths
	Workers  int              // number of slots
	CPUs     int              // as given
	Handoff  app.Handoff      // never auto
	Argv     []string         // placeholders not yet expanded
	Path     string           // the program, absolute
	Env      []string         // of a worker, as far as it is the same for all
	Assign   []string         // NAME=value over Env, from the command, placeholders not yet expanded
	Dir      string           // where workers run, absolute
	Kind     string           // KindNode, KindSDK or KindOther
	Nonblock bool             // inherited sockets have O_NONBLOCK set
	Notes    []string         // what the user should know, a sentence each
	Inspect  *command.Inspect // of Node; nil: not asked for
	Account  *account.Account // that workers run as; nil: that of the master
	CPUSet   []int            // CPUs that workers may run on; none: as the master
	SockUID  int              // who owns unix sockets; -1: the master
	SockGID  int              //
}

// Kinds of program.
const (
	KindNode  = "node"  // Node runs it, as the process that is started
	KindSDK   = "sdk"   // a Go program built on the worker SDK
	KindOther = "other" // anything else
)

// Host is what a plan depends on besides files.
type Host struct {
	Dir        string   // absolute; a relative Cwd counts from here
	Env        []string // like os.Environ; variables of a manager above are left out of the plan
	CPUs       int      // that may be used, see package cpus
	Allowed    []int    // CPUs that this process may run on; none: not known
	IsFileForm bool     // the command may begin with a file that an interpreter runs
}

// Resolve makes the plan. Relative names in spec, of files, sockets and programs, count from its Cwd.
// What the user wrote wrong is an *app.Error or an *envfile.Error.
func Resolve(spec app.Spec, host Host) (Plan, error) {
	a, err := app.New(spec)
	if err != nil {
		return Plan{}, err
	}
	dir, err := workingDirectory(host.Dir, a.Cwd)
	if err != nil {
		return Plan{}, err
	}
	if a, err = a.In(dir); err != nil {
		return Plan{}, err
	}
	p := Plan{App: a, SockUID: -1, SockGID: -1}
	if err := p.identify(host); err != nil {
		return Plan{}, err
	}
	env, err := environment(a, p.Account, host.Env, dir)
	if err != nil {
		return Plan{}, err
	}
	cmd, err := command.Resolve(a.Command, dir, env["PATH"], host.IsFileForm)
	if err != nil {
		return Plan{}, err
	}
	if spec.Name == "" && cmd.Package != "" {
		a.Name = app.DeriveName(path.Base(cmd.Package))
	}
	known := presetOf(cmd.Path)
	if err := known.fill(&a, spec); err != nil {
		return Plan{}, err
	}
	p.App, p.Argv, p.Path, p.Env, p.Assign, p.Dir, p.Kind = a, cmd.Argv, cmd.Path, env.of(cmd), assigned(cmd), cmd.Dir, kindOf(cmd)
	p.Nonblock, p.Notes = known.nonblock, cmd.Notes
	if p.Kind == KindNode {
		p.Inspect = command.FindInspect(p.Argv, env["NODE_OPTIONS"])
	}
	return p.decide()
}

// decide completes what depends on the kind of program.
func (p Plan) decide() (Plan, error) {
	var err error
	if p.Handoff, err = p.handoff(); err != nil {
		return Plan{}, err
	}
	if err = p.countable(); err != nil {
		return Plan{}, err
	}
	if err = p.App.CheckPlaceholders(p.templates()); err != nil {
		return Plan{}, err
	}
	workers := p.App.Workers
	if workers == "" {
		workers = p.defaultWorkers()
	}
	p.Workers, err = app.ParseWorkers(workers, p.CPUs)
	return p, err
}

// countable refuses a limit on connections for workers whose connections nobody counts: they accept by themselves, and the kernel keeps no
// such number. The SDK counts, and in a Node program a script of the master's does, which says so on Node's channel.
func (p Plan) countable() error {
	switch {
	case p.App.MaxRequests == 0, p.Kind == KindSDK, p.Kind == KindNode && (p.Handoff == app.HandoffNode || p.Handoff == app.HandoffMessage):
		return nil
	case p.Kind == KindNode:
		return p.uncountable("a Node program has no channel to say it on with --handoff "+string(p.Handoff), "use --handoff node")
	}
	return p.uncountable("only Node programs and workers built on the Go package muster count their connections",
		"use --max-age or --max-memory; or let the program count, and announce its end with STOPPING=1 on its notify socket")
}

func (p Plan) uncountable(why, hint string) error {
	return &app.Error{Field: "max_requests", Value: strconv.Itoa(p.App.MaxRequests), Reason: "cannot be kept: " + why, Hint: hint}
}

// templates is what may hold placeholders.
func (p Plan) templates() []string { return slices.Concat(p.Argv, p.Assign) }

// defaultWorkers is one per CPU for what can share a socket. Of a program that opens its own, only one can have the address.
func (p Plan) defaultWorkers() string {
	if p.Handoff == app.HandoffNone {
		return "1"
	}
	return "max"
}

func kindOf(cmd command.Command) string {
	switch {
	case cmd.Node:
		return KindNode
	case cmd.SDK:
		return KindSDK
	}
	return KindOther
}

// handoff decides auto: a program that asks for the number of a descriptor inherits it; a program that takes part in Node's cluster does
// so; any other inherits what listeners there are.
func (p Plan) handoff() (app.Handoff, error) {
	usesFD, chosen := app.UsesFD(p.templates()), p.App.Handoff
	switch {
	case usesFD && chosen != app.HandoffAuto && chosen != app.HandoffInherit:
		return "", &app.Error{
			Field: "handoff", Value: string(chosen), Reason: "leaves no descriptor for {fd} in the command",
			Hint: "use --handoff inherit, or take {fd} out of the command",
		}
	case chosen != app.HandoffAuto:
		return chosen, nil
	case !usesFD && p.Kind != KindOther:
		return app.HandoffNode, nil
	case len(p.App.Listeners) > 0:
		return app.HandoffInherit, nil
	}
	return app.HandoffNone, nil
}

// workingDirectory returns the absolute directory that cwd means.
func workingDirectory(base, cwd string) (string, error) {
	dir := filepath.Clean(cwd)
	if !filepath.IsAbs(cwd) {
		dir = filepath.Join(base, cwd)
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", &app.Error{Field: "cwd", Value: cwd, Reason: "there is no directory " + dir, Hint: "make it, or name another"}
	case err != nil:
		return "", &app.Error{Field: "cwd", Value: cwd, Reason: err.Error()}
	case !info.IsDir():
		return "", &app.Error{Field: "cwd", Value: cwd, Reason: "is not a directory"}
	}
	return dir, nil
}
