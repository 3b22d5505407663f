package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
	"github.com/musterd/muster/internal/envfile"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// fromFile runs the only app of an app file, or the one that --only names.
func (r *runCommand) fromFile(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return &usageError{"an app file takes no arguments, got " + strings.Join(args[1:], " "), "write them into its command; flags of muster run stand before the file"}
	}
	if flags := flagsOfSpec(cmd.Flags()); len(flags) > 0 {
		return &usageError{strings.Join(flags, " ") + " does not go with an app file", "write it into " + args[0]}
	}
	entries, notes, err := r.load(args[0])
	if err != nil {
		return err
	}
	if len(entries) != 1 {
		return notOne(args[0], entries)
	}
	e := entries[0]
	r.format = cmp.Or(string(e.LogFormat), string(app.LogFormatText))
	for _, n := range notes {
		r.note([]string{n.String()})
	}
	if on := e.DependsOn.Names(); len(on) > 0 {
		r.note([]string{fmt.Sprintf("%s depends on %s, which muster run does not wait for", e.Name, strings.Join(on, ", "))})
	}
	err = r.foreground(e.Spec, e.Base, e.FileForm)
	_, isSpec := errors.AsType[*app.Error](err)
	_, isEnv := errors.AsType[*envfile.Error](err)
	if isSpec || isEnv {
		return config.Errors{e.Refuse(err)}
	}
	return err
}

// flagsOfSpec are the flags that say something of an app.
func flagsOfSpec(set *pflag.FlagSet) []string {
	var names []string
	set.Visit(func(f *pflag.Flag) {
		if !slices.Contains([]string{"environment", "only", "no-color"}, f.Name) {
			names = append(names, "--"+f.Name)
		}
	})
	return names
}

func notOne(file string, entries []config.Entry) error {
	if len(entries) == 0 {
		return &usageError{file + " has no apps", "write one: apps: {api: node server.js}"}
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return &usageError{
		fmt.Sprintf("muster run runs one app, and %s has %d: %s", file, len(entries), strings.Join(names, ", ")),
		"choose one: --only NAME; all of them in the background: muster start " + file,
	}
}
