package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/musterd/muster/internal/app"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pm2Names are flags of PM2 that are another word for one of muster's.
var pm2Names = map[string]string{
	"instances": "workers", "max-memory-restart": "max-memory", "kill-timeout": "stop-timeout", "listen-timeout": "start-timeout", "kill-signal": "stop-signal",
	"cron": "reload-at", "cron-restart": "reload-at", "uid": "user", "gid": "group", "output": "log-out", "error": "log-err", "ignore-watch": "watch-ignore",
	"log-type": "log-format", "filter-env": "env-drop",
}

// pm2Flags lets people write what they know from PM2, where it means the same here. The flags are in no help.
func pm2Flags(f *pflag.FlagSet, s *app.Spec) {
	set := func(name, usage string, do func()) {
		f.BoolFunc(name, usage, func(string) error { do(); return nil })
		_ = f.MarkHidden(name)
	}
	set("no-autorestart", "the same as --job", func() { s.Job = true })
	set("wait-ready", "the same as --ready message", func() { s.Ready = string(app.ReadyMessage) })
	set("shutdown-with-message", "the same as --stop-message shutdown", func() { s.StopMessage = "shutdown" })
	set("disable-logs", "the same as --log-out /dev/null --log-err /dev/null", func() { s.LogOut, s.LogErr = "/dev/null", "/dev/null" })
	set("time", "lines have their time by themselves", func() { s.LogTimestamps = new(true) })
	for _, name := range []string{"merge-logs", "no-vizion", "no-pmx", "no-automation", "disable-trace"} { // as muster is by itself
		set(name, "has no effect", func() {})
	}
	f.Func("log", "the same as --log-out and --log-err", func(file string) error {
		s.LogOut, s.LogErr = file, file
		return nil
	})
	_ = f.MarkHidden("log")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if own, ok := pm2Names[name]; ok {
			name = own
		}
		return pflag.NormalizedName(name)
	})
}

// pm2Hints are flags of other process managers, and what to use here.
var pm2Hints = map[string]string{
	"port": "use --listen", "bind": "use --listen", "interpreter": "use -- INTERPRETER FILE", "exec-mode": "leave it out: the sockets of Node programs are shared by themselves",
	"node-args": "use -- node ARGUMENTS FILE", "interpreter-args": "use -- INTERPRETER ARGUMENTS FILE", "force": "a second app of the same file needs a name of its own: --name",
	"namespace": "there are none: commands take several names, and patterns as 'api-*'", "stop-exit-codes": "with --job, 0 ends the app and anything else is tried again as --max-restarts says",
	"restart-delay": "what fails again and again is started after longer and longer pauses by itself", "exp-backoff-restart-delay": "pauses grow by themselves, from 0.1s to 15s",
	"log-date-format": "lines get their time in one form: see muster logs -t", "attach": "then: muster logs NAME -f", "no-daemon": "use muster run",
	"no-autostart": "start it when it is wanted; what is in an app file is started by --only NAME", "no-treekill": "what a worker has started ends with it; make what shall outlive it an app of its own",
	"pid": "muster pid NAME prints process ids", "parallel": "use --max-starting", "source-map-support": "use -- node --enable-source-maps FILE", "disable-source-map-support": "leave it out",
	"execute-command": "leave it out", "write": "leave it out", "mini-list": "use muster list --quiet", "silent": "use --quiet", "service-name": "leave it out", "hp": "leave it out", "wait-ip": "leave it out",
	"trace": "nothing is injected into programs", "deep-monitoring": "nothing is injected into programs", "event-loop-inspector": "nothing is injected into programs", "v8": "nothing is injected into programs",
	"ext": "use --watch with folders, and --watch-ignore", "watch-options": "use --watch, --watch-ignore and --watch-delay",
}

// pm2Shorthands are the same for flags of one letter.
var pm2Shorthands = map[string]string{
	"f": pm2Hints["force"], "o": "use --log-out FILE", "c": "use --reload-at", "k": "use --stop-timeout", "a": "use --update-env", "x": pm2Hints["execute-command"], "m": pm2Hints["mini-list"],
	"s": "use --quiet", "p": pm2Hints["pid"], "w": pm2Hints["write"], "u": "use --user",
}

// canStart tells whether a command takes flags that say something of an app.
func canStart(cmd *cobra.Command) bool { return cmd.Flags().Lookup("workers") != nil }

// againValue is what start does to apps that run as they should.
type againValue struct{ field *string }

func (v *againValue) String() string {
	if v.field == nil {
		return ""
	}
	return *v.field
}

func (v *againValue) Set(text string) error {
	if text != againReload && text != againRestart {
		return &app.Error{Reason: "is not known", Hint: "write reload, which is without downtime, or restart"}
	}
	*v.field = text
	return nil
}

func (v *againValue) Type() string { return "WORD" }

// envOrEnvironment is NAME=value, or, without an equals sign, the environment of an app file, as PM2 has it.
type envOrEnvironment struct {
	envValue
	environment *string
}

func (v *envOrEnvironment) Set(text string) error {
	if text == "" || strings.Contains(text, "=") {
		return v.envValue.Set(text)
	}
	*v.environment = text
	return nil
}

// noteFlagsBehind warns of what looks like muster's own flags behind a file: PM2 reads them there, muster gives them to the program.
func noteFlagsBehind(stderr io.Writer, args []string) {
	known := []string{"-i", "--instances", "--workers", "-n", "--name", "--watch", "--max-memory-restart", "--max-memory", "--no-autorestart", "--cron", "--env", "--update-env", "-f"}
	for _, arg := range args[1:] {
		name, _, _ := strings.Cut(arg, "=")
		if slices.Contains(known, name) {
			fmt.Fprintf(stderr, "muster: %s stands behind %s, so it is the program's own; flags of muster stand before the file\n", name, args[0])
			return
		}
	}
}
