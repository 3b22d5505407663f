package cli

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
	"github.com/musterd/muster/internal/cpus"
	"github.com/musterd/muster/internal/launch"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type checkCommand struct {
	appFile
	json   bool
	quiet  bool
	schema bool
	stdout *os.File
	stderr *os.File
}

// appFile is what commands that read an app file have in common.
type appFile struct {
	environment string
	only        []string
}

func (a *appFile) flags(f *pflag.FlagSet) {
	f.StringVarP(&a.environment, "environment", "e", "", "`NAME` of the environment that counts, of those in an app file")
	f.StringSliceVar(&a.only, "only", nil, "`NAME` of the app of an app file that is wanted, as opposed to all (repeatable)")
}

func (a *appFile) load(file string) ([]config.Entry, []config.Note, error) {
	return config.Load(file, config.Options{Environment: a.environment, Only: a.only})
}

func newCheck(stdout, stderr *os.File) *cobra.Command {
	c := &checkCommand{stdout: stdout, stderr: stderr}
	cmd := &cobra.Command{
		Use:   "check [CONFIG]",
		Short: "Say what is wrong with an app file, and what it would start",
		Long: `Say everything that is wrong with an app file, with file, line and column, and what it would start on this machine: the files and
programs that it names, the interpreters, the addresses. Nothing is started.

CONFIG is muster.yaml or muster.json, a file of PM2 as ecosystem.config.js, or a Procfile; for a folder, or nothing, the one that is there.`,
		Example: `  muster check
  muster check -e production deploy/muster.yaml
  muster check --schema > muster.schema.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return &usageError{"muster check takes one app file, got " + strings.Join(args, " "), "a file can include others"}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return c.run(args) },
	}
	c.flags(cmd.Flags())
	cmd.Flags().BoolVar(&c.json, "json", false, "print the plan of each app, as JSON")
	cmd.Flags().BoolVarP(&c.quiet, "quiet", "q", false, "print the names of the apps alone")
	cmd.Flags().BoolVar(&c.schema, "schema", false, "print the JSON Schema of muster.yaml instead")
	return cmd
}

func (c *checkCommand) run(args []string) error {
	if c.schema {
		return c.printSchema()
	}
	file := "."
	if len(args) > 0 {
		file = args[0]
	}
	entries, notes, err := c.load(file)
	errs, ok := errors.AsType[config.Errors](err)
	if err != nil && !ok {
		return err
	}
	plans, more := planAll(entries)
	for _, n := range notes {
		fmt.Fprintln(c.stderr, "muster: "+n.String())
	}
	for _, p := range plans {
		for _, text := range p.Notes {
			fmt.Fprintf(c.stderr, "muster: %s: app %s: %s\n", p.At, p.Name, text)
		}
	}
	if errs = append(errs, more...); len(errs) > 0 {
		return errs.Sorted()
	}
	return c.print(plans)
}

// planned is what an app of a file would be on this machine.
type planned struct {
	Name      string          `json:"name"`
	At        config.Position `json:"at"`
	Base      string          `json:"base"`
	Workers   int             `json:"workers"`
	Handoff   app.Handoff     `json:"handoff"`
	Listeners []app.Listener  `json:"listeners,omitempty"`
	Program   string          `json:"program"` // absolute
	Argv      []string        `json:"argv"`
	Dir       string          `json:"dir"`
	Spec      app.Spec        `json:"spec"` // with the values of its environment left out
	Notes     []string        `json:"notes,omitempty"`
}

// planAll resolves the apps, and tells of two that want the same address.
func planAll(entries []config.Entry) (plans []planned, errs config.Errors) {
	host := launch.Host{Env: os.Environ(), CPUs: cpus.Available(), Allowed: cpus.Allowed()}
	var taken []planned
	for _, e := range entries {
		host.Dir, host.IsFileForm = e.Base, e.FileForm
		p, err := launch.Resolve(e.Spec, host)
		if err != nil {
			errs = append(errs, e.Refuse(err))
			continue
		}
		plan := planned{
			Name: e.Name, At: e.At, Base: e.Base, Workers: p.Workers, Handoff: p.Handoff, Listeners: p.App.Listeners, Program: p.Path, Argv: p.Argv, Dir: p.Dir,
			Spec: withoutValues(e.Spec), Notes: p.Notes,
		}
		if err := claimed(plan, taken); err != nil {
			errs = append(errs, e.Refuse(err))
		}
		taken = append(taken, plan)
	}
	return taken, errs
}

// withoutValues keeps the names of variables: their values may be secrets.
func withoutValues(s app.Spec) app.Spec {
	names := map[string]string{}
	for name := range s.Env {
		names[name] = ""
	}
	s.Env = names
	return s
}

// claimed is an error if an app listens where another one does.
func claimed(p planned, others []planned) error {
	for i, l := range p.Listeners {
		for _, other := range others {
			for _, m := range other.Listeners {
				if l.Overlaps(m) {
					return &app.Error{
						Field: "listen", Value: p.Spec.Listen[i], Reason: fmt.Sprintf("the app %s listens on %s", other.Name, listenWord([]app.Listener{m})),
						Hint: "give one of the two another port or address",
					}
				}
			}
		}
	}
	return nil
}

func (c *checkCommand) print(plans []planned) error {
	switch {
	case c.json:
		if plans == nil {
			plans = []planned{}
		}
		return printJSON(c.stdout, plans)
	case c.quiet:
		for _, p := range plans {
			if _, err := fmt.Fprintln(c.stdout, p.Name); err != nil {
				return err
			}
		}
		return nil
	}
	table := newTable(c.stdout)
	fmt.Fprintln(table, "NAME\tWORKERS\tLISTEN\tHANDOFF\tCOMMAND")
	for _, p := range plans {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", p.Name, workersWord(p), listenWord(p.Listeners), p.Handoff, strings.Join(p.Argv, " "))
	}
	return table.Flush()
}

func workersWord(p planned) string {
	switch {
	case p.Spec.Schedule != "":
		return "job, " + p.Spec.Schedule
	case p.Spec.Job:
		return "job"
	}
	return strconv.Itoa(p.Workers)
}

func listenWord(listeners []app.Listener) string {
	if len(listeners) == 0 {
		return "-"
	}
	all := make([]string, len(listeners))
	for i, l := range listeners {
		all[i] = address(api.Listener{Address: l.Address()})
	}
	return strings.Join(all, " ")
}

func (c *checkCommand) printSchema() error {
	data, err := SchemaJSON()
	if err != nil {
		return err
	}
	_, err = c.stdout.Write(data)
	return err
}
