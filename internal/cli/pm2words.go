package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/spf13/cobra"
)

// addPM2Words adds the commands of PM2 that have another name here, or none. They are in no list of commands: who types one knows it.
func addPM2Words(root *cobra.Command, stdout, stderr *os.File) {
	words := []*cobra.Command{
		newJList(stdout, stderr), newKill(stdout, stderr), newUpdate(stdout, stderr), newClearDump(stdout), newPing(stdout, stderr),
		newStartOr(stdout, stderr, againReload, "startOrReload", "startOrGracefulReload"), newStartOr(stdout, stderr, againRestart, "startOrRestart"),
	}
	for _, w := range pm2Refused {
		for _, name := range w.names {
			words = append(words, refusedWord(name, w.hint))
		}
	}
	for _, cmd := range words {
		cmd.Hidden = true
		root.AddCommand(cmd)
	}
}

// pm2Refused are commands of PM2 that are none here, and what to do instead.
var pm2Refused = []struct {
	names []string
	hint  string
}{
	{[]string{"attach", "send"}, "workers have nobody at their standard input; to read what they write: muster logs NAME -f"},
	{[]string{"inspect"}, "start the app with the inspector: muster start -- node --inspect FILE; each worker gets a port of its own"},
	{[]string{"monit", "dashboard", "dash", "imonit"}, "muster list --watch; what happens to one app: muster events NAME -f, and muster logs NAME -f"},
	{[]string{"init", "ecosystem", "examples", "create"}, "write a muster.yaml: apps: [{name: api, command: node server.js}]; what you have in PM2: muster import pm2"},
	{[]string{"serve", "expose"}, "muster serves no files; start any server of files, as muster start -- npx serve DIR"},
	{[]string{"logrotate"}, "log files are rotated by themselves: see --log-max-size and --log-keep of muster start"},
	{[]string{"set", "get", "unset", "multiset", "conf", "config"}, "there are no settings beside those of an app: muster start --env NAME=value …"},
	{[]string{"slist", "sysinfos", "report"}, "muster list --json, and muster daemon status"},
	{[]string{"trigger"}, "nothing is injected into programs, so there are no actions in them; muster signal SIGNAL NAME sends a signal"},
	{[]string{"profile:cpu", "profile:mem"}, "start the app with the profiler of its language, as muster start -- node --cpu-prof FILE"},
	{[]string{"deploy", "pull", "forward", "backward"}, "muster deploys nothing; let the pipeline bring the files, and then: muster reload NAME, or muster rollback NAME"},
	{[]string{"install", "uninstall", "module:install", "module:uninstall", "module:update", "module:generate", "package", "publish", "autoinstall"}, "there are no modules; rotation of logs, and probes, are built in"},
	{[]string{"link", "unlink", "monitor", "unmonitor", "open", "plus", "register", "login", "logout", "interact"}, "muster sends nothing to anybody; its API is on a socket of yours: see muster daemon status"},
	{[]string{"install-otel", "uninstall-otel", "deepUpdate"}, "nothing is installed into programs"},
}

func refusedWord(name, hint string) *cobra.Command {
	return &cobra.Command{
		Use: name, DisableFlagParsing: true, Short: "A command of PM2 that is none of muster's",
		RunE: func(*cobra.Command, []string) error { return &usageError{"there is no command " + name, hint} },
	}
}

func newJList(stdout, stderr *os.File) *cobra.Command {
	l := &listCommand{json: true, sort: "id", stdout: stdout, stderr: stderr}
	cmd := &cobra.Command{
		Use: "jlist", Aliases: []string{"prettylist"}, Short: "The same as list --json", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context()) },
	}
	l.flags(cmd.Flags())
	return cmd
}

func newKill(stdout, stderr *os.File) *cobra.Command {
	d := &daemonCommand{output: output{stdout: stdout, stderr: stderr}}
	return &cobra.Command{
		Use: "kill", Short: "The same as daemon stop: end all apps, and the daemon", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.stop(cmd.Context()) },
	}
}

func newPing(stdout, stderr *os.File) *cobra.Command {
	d := &daemonCommand{output: output{stdout: stdout, stderr: stderr}}
	return &cobra.Command{
		Use: "ping", Short: "The same as daemon status", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.status(cmd.Context()) },
	}
}

func newUpdate(stdout, stderr *os.File) *cobra.Command {
	c := newChanger(stdout, stderr)
	cmd := &cobra.Command{
		Use: "update", Aliases: []string{"updatePM2"}, Short: "The same as upgrade all", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := c.changeAll(cmd.Context(), []string{everyApp}, func(ctx context.Context, a *client.Client) (api.Operation, error) { return a.Upgrade(ctx) })
			if err == nil {
				fmt.Fprintln(stderr, "to have the daemon replaced, too: muster daemon stop --leave-apps; the next command starts the new one")
			}
			return err
		},
	}
	c.flags(cmd.Flags())
	return cmd
}

func newClearDump(stdout *os.File) *cobra.Command {
	return &cobra.Command{
		Use: "cleardump", Short: "The same as save --clear", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return clearSaved(cmd.Context(), stdout, false) },
	}
}

// What start does to apps that run as they should.
const (
	againReload  = "reload"
	againRestart = "restart"
)

func newStartOr(stdout, stderr *os.File, again, name string, aliases ...string) *cobra.Command {
	cmd := newStart(stdout, stderr)
	cmd.Use, cmd.Aliases, cmd.Example = name+" APPFILE|NAME...", aliases, ""
	cmd.Short = "The same as start --again=" + again
	_ = cmd.Flags().Set("again", again)
	cmd.Flags().Lookup("again").Changed = false
	return cmd
}
