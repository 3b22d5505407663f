package cli

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/musterd/muster/internal/app"
	"github.com/spf13/pflag"
)

// specFlags makes the fields of a spec flags: the struct is flag set, config entry and API request in one.
func specFlags(f *pflag.FlagSet, s *app.Spec) {
	f.StringVarP(&s.Name, "name", "n", "", "`NAME` of the app (default: that of the file or package)")
	f.StringVarP(&s.Workers, "workers", "i", "", "how many: `N`, max (one per CPU), 50% of the CPUs, or -1 (all but one) (default max, or 1 for a program that gets no sockets)")
	listenFlag(f, s)
	word(f, &s.Handoff, "handoff", app.HandoffAuto, "how workers get their sockets: auto, inherit, node, message or none")
	f.StringVar(&s.HandoffMessage, "handoff-message", app.DefaultHandoffMessage, "what the message is called that carries a socket, with --handoff message")
	word(f, &s.Balance, "balance", app.BalanceAuto, "how connections spread over workers: auto, slots (a queue for each), shared (one for all) or sticky (slots by the client's address)")
	f.StringVar(&s.Ready, "ready", string(app.ReadyAuto), "what tells that a worker serves: auto, message, notify, tcp or start")
	duration(f, &s.StartTimeout, "start-timeout", app.DefaultStartTimeout, "a worker that is not ready by then is killed")
	duration(f, &s.StopTimeout, "stop-timeout", app.DefaultStopTimeout, "a worker that has not finished by then is killed")
	f.StringVar(&s.StopSignal, "stop-signal", app.DefaultStopSignal, "`SIGNAL` that asks a worker to finish")
	f.StringVar(&s.StopMessage, "stop-message", "", "message on Node's channel that asks a worker to finish, before the signal")
	f.Var(&envValue{&s.Env}, "env", "variable for the workers (repeatable)")
	f.StringArrayVar(&s.EnvFile, "env-file", nil, "`FILE` of such variables (repeatable)")
	f.StringArrayVar(&s.EnvDrop, "env-drop", nil, "`PATTERN` of variables that workers do not inherit, as AWS_* or * (repeatable)")
	f.StringVar(&s.Cwd, "cwd", "", "`DIR` that workers run in; relative names of files and sockets count from there")
	f.Var(&countValue{&s.MaxRestarts}, "max-restarts", "give a slot up after so many failures in a row (default: never)")
	duration(f, &s.MinUptime, "min-uptime", app.DefaultMinUptime, "a worker that dies sooner than that after it was ready has failed")
	f.IntVar(&s.MaxStarting, "max-starting", 0, "how many workers may boot at the same time (default: one per CPU)")
	f.BoolVar(&s.Singleton, "singleton", false, "one worker, and never two at a time: a reload ends the old one before it starts the new one")
	f.IntVar(&s.Spares, "spares", 0, "how many booted workers wait for a slot to become empty")
	f.IntVar(&s.Surge, "surge", 0, "how many more workers than wanted may run during a reload (default 1)")
	duration(f, &s.ReloadSettle, "reload-settle", app.DefaultReloadSettle, "how long the first new worker of a reload serves before the others follow")
	f.Var(&s.RetireOver, "retire-over", "spread the end of a reload's old workers over so long, the busiest first (default: at once)")
	f.Var(&s.DrainTimeout, "drain-timeout", "as --stop-timeout, for a worker that was replaced or whose slot goes (default: the same)")
	f.Var(&s.HangTimeout, "hang-timeout", "replace a worker that gives no sign where one is due for so long (default: never)")
	f.IntVar(&s.MaxOldGenerations, "max-old-generations", 0, "how many old generations may finish beside the newest; the drain of older ones is cut short (default 3)")
	f.Var(&s.MaxAge, "max-age", "recycle a worker that has served for so long, give or take 10% (default: never)")
	f.Var(&s.MaxMemory, "max-memory", "recycle a worker whose processes use so much memory, as 512M (default: never)")
	f.Var(&s.MaxMemoryHard, "max-memory-hard", "the same, without waiting for the turn of this worker")
	f.IntVar(&s.MaxRequests, "max-requests", 0, "recycle a worker (of Node, or on the SDK) that has accepted so many connections, give or take 10% (default: never)")
	f.StringVar(&s.Health, "health", "", "`CHECK` of workers that serve: http:/path or tcp (default: none)")
	duration(f, &s.HealthTimeout, "health-timeout", app.DefaultHealthTimeout, "a check that is not answered by then has failed")
	processFlags(f, s)
	timeFlags(f, s)
	logFlags(f, s)
	f.StringVar(&s.InstanceVar, "instance-var", app.DefaultInstanceVar, "variable that tells a worker the number of its slot; several are separated by commas")
	f.SortFlags = false
}

func listenFlag(f *pflag.FlagSet, s *app.Spec) {
	f.StringArrayVarP(&s.Listen, "listen", "l", nil, "`ADDR` to listen on: :3000, 127.0.0.1:3000, unix:/run/x.sock, udp://:53, or name=:3000 (repeatable)")
}

func word[T ~string](f *pflag.FlagSet, field *T, name string, otherwise T, usage string) {
	f.Var(&wordValue[T]{field}, name, usage)
	f.Lookup(name).DefValue = string(otherwise)
}

func duration(f *pflag.FlagSet, field *app.Duration, name string, otherwise app.Duration, usage string) {
	f.Var(field, name, usage)
	f.Lookup(name).DefValue = otherwise.String()
}

// wordValue sets a field that is a kind of string; app.New knows which words are right.
type wordValue[T ~string] struct{ field *T }

func (v *wordValue[T]) String() string {
	if v.field == nil {
		return ""
	}
	return string(*v.field)
}

func (v *wordValue[T]) Set(text string) error { *v.field = T(text); return nil }
func (v *wordValue[T]) Type() string          { return "string" }

// envValue adds NAME=value to a map.
type envValue struct{ field *map[string]string }

func (v *envValue) String() string {
	if v.field == nil {
		return ""
	}
	return strings.Join(slices.Sorted(maps.Keys(*v.field)), ",")
}

func (v *envValue) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return &app.Error{Reason: "is not NAME=value", Hint: "write --env NAME=value; for many, use --env-file"}
	}
	if *v.field == nil {
		*v.field = map[string]string{}
	}
	(*v.field)[name] = value
	return nil
}

func (v *envValue) Type() string { return "NAME=value" }

// countValue sets a number that may be absent.
type countValue struct{ field **int }

func (v *countValue) String() string {
	if v.field == nil || *v.field == nil {
		return ""
	}
	return strconv.Itoa(**v.field)
}

func (v *countValue) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return &app.Error{Reason: "is not a number of times", Hint: "write 0 or more, or leave the flag out to never give up"}
	}
	count := int(n)
	*v.field = &count
	return nil
}

func (v *countValue) Type() string { return "int" }
