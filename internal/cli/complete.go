package cli

import (
	"slices"
	"strings"
	"sync"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
	"github.com/musterd/muster/internal/daemon"
	"github.com/musterd/muster/internal/rundir"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Commands by what their arguments are, for the completion of shells.
var (
	takeApps  = []string{"show", "explain", "env", "events", "logs", "pid", "id", "reload", "rollback", "scale", "restart", "stop", "delete", "upgrade", "wait", "reset", "flush", "reopen-logs"}
	takeFiles = []string{"start", "startOrReload", "startOrRestart"} // or apps
)

// words are the values of flags that have only so many, beside those that a spec has.
var words = map[string][]string{
	"workers": {"max", "50%", "1", "2", "4"}, "again": {againReload, againRestart}, "sort": {"id", "name", "state", "cpu:desc", "memory:desc", "respawns:desc", "up"},
	"ready": {"auto", "message", "notify", "tcp", "start"}, "health": {"http:/", "tcp"}, "stop-signal": {"TERM", "INT", "QUIT", "HUP", "USR1", "USR2"}, "lines": {"all", "50", "200"}, "since": {"10m", "1h", "1d"},
}

// addCompletions tells the shells what arguments and flags may be.
func addCompletions(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		switch name := cmd.Name(); {
		case slices.Contains(takeApps, name):
			cmd.ValidArgsFunction = completeApps
		case slices.Contains(takeFiles, name):
			cmd.ValidArgsFunction = completeAppsAndFiles
		case name == "signal":
			cmd.ValidArgsFunction = completeSignal
		}
		completeFlags(cmd)
	}
}

// choices are the values of the flags that a spec has, where there are only so many. To know them takes as long as a whole command may, so they are asked
// for by nobody but a shell.
var choices = sync.OnceValue(func() map[string][]string {
	all := map[string][]string{}
	for _, f := range config.Fields() {
		all[strings.ReplaceAll(f.Name, "_", "-")] = f.Choices
	}
	return all
})

// completeChoice completes the value of a flag of the spec; a value of any other kind is a file name, for all that the shell knows.
func completeChoice(flag string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if values := choices()[flag]; len(values) > 0 {
			return values, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
}

func completeFlags(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		values := words[f.Name]
		switch {
		case len(values) > 0:
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		case f.Name == "cwd" || f.Name == "log-dir":
			_ = cmd.MarkFlagDirname(f.Name)
		case f.Name == "only" || f.Name == "depends-on":
			_ = cmd.RegisterFlagCompletionFunc(f.Name, completeApps)
		case f.NoOptDefVal == "":
			_ = cmd.RegisterFlagCompletionFunc(f.Name, completeChoice(f.Name))
		}
	})
}

// completeApps completes names of apps, those that stand there already left out.
func completeApps(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names := append(appNames(), everyApp)
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(args, name) }), cobra.ShellCompDirectiveNoFileComp
}

func completeAppsAndFiles(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return appNames(), cobra.ShellCompDirectiveDefault
}

func completeSignal(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []string{"HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH", "CONT", "STOP", "KILL"}, cobra.ShellCompDirectiveNoFileComp
	}
	return completeApps(cmd, args[1:], word)
}

// appNames are the names of all apps, without asking anybody: who completes a word wants to start nothing.
func appNames() []string {
	var names []string
	if infos, err := rundir.All(); err == nil {
		for _, info := range infos {
			names = append(names, info.Name)
		}
	}
	if dir, err := rundir.FindStateDir(); err == nil {
		names = append(names, daemon.AppNames(dir)...)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		_, err := app.New(app.Spec{Name: name, Command: []string{"x"}})
		return err != nil
	})
}

// newCompletion is cobra's command, with the lines that install what it prints.
func newCompletion(root *cobra.Command) *cobra.Command {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Hidden = false
			cmd.Short = "Print what a shell needs to complete commands, names of apps, and values"
			cmd.Long = `Print what a shell needs to complete commands, names of apps, flags and their values.

bash (with the package bash-completion):  muster completion bash > ~/.local/share/bash-completion/completions/muster
zsh (in a folder of $fpath):              muster completion zsh > ~/.zfunc/_muster
fish:                                     muster completion fish > ~/.config/fish/completions/muster.fish

Shells that are started from then on have it.`
			return cmd
		}
	}
	return nil
}
