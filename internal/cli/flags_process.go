package cli

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/musterd/muster/internal/app"
	"github.com/spf13/pflag"
)

// processFlags are the fields of a spec that say who workers are, and how much of the machine they get.
func processFlags(f *pflag.FlagSet, s *app.Spec) {
	f.StringVar(&s.User, "user", "", "`USER` that workers run as, a name or a number; needs root (default: that of muster)")
	f.StringVar(&s.Group, "group", "", "`GROUP` of workers (default: those of the user)")
	f.StringVar(&s.Umask, "umask", "", "`BITS` in octal that files of workers do not get, as 027 (default: those of muster)")
	f.Var(&numberValue{&s.Nice}, "nice", "niceness of workers, -20 (favoured) to 19 (default: that of muster)")
	f.Var(&limitsValue{&s.WorkerLimits, "worker-limits memory=512M"}, "worker-limits", "limit of a worker with all that it starts: memory=512M, cpu=1.5 or tasks=200 (repeatable)")
	f.Var(&limitsValue{&s.AppLimits, "app-limits memory=2G"}, "app-limits", "limit of all workers together: memory=2G, cpu=4 or tasks=1000 (repeatable)")
	f.BoolVar(&s.LimitsRequired, "limits-required", false, "do not run without a limit that the machine refuses (default: a warning)")
	f.Var(&limitsValue{&s.Limits, "limits nofile=65536"}, "limits", "limit of each process, as nofile=65536, nofile=1024:65536 or core=unlimited (repeatable)")
	f.StringVar(&s.CPUs, "cpus", "", "`CPUS` that workers may run on, as 0-3,6 (default: those of muster)")
	word(f, &s.CPUAffinity, "cpu-affinity", app.AffinityAll, "which of these a worker has: all, or spread (one for each slot)")
	f.Var(&numberValue{&s.OOMScoreAdj}, "oom-score-adj", "-1000 to 1000: the more, the sooner the kernel kills workers when memory is short (default: that of muster)")
	f.BoolVar(&s.NoNewPrivs, "no-new-privs", false, "nothing that workers start gets more privileges than they have, as by sudo")
	f.StringVar(&s.ListenMode, "listen-mode", "", "`MODE` of unix sockets in octal, as 660 (default: what muster's umask leaves)")
	f.StringVar(&s.ListenOwner, "listen-owner", "", "`USER` who owns unix sockets (default: that of muster)")
	f.StringVar(&s.ListenGroup, "listen-group", "", "`GROUP` of unix sockets (default: that of muster)")
}

// numberValue sets a number that may be absent.
type numberValue struct{ field **int }

func (v *numberValue) String() string {
	if v.field == nil || *v.field == nil {
		return ""
	}
	return strconv.Itoa(**v.field)
}

func (v *numberValue) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return &app.Error{Reason: "is not a whole number"}
	}
	*v.field = &n
	return nil
}

func (v *numberValue) Type() string { return "int" }

// limitsValue adds LIMIT=value to a map.
type limitsValue struct {
	field   *map[string]string
	example string // of the flag
}

func (v *limitsValue) String() string {
	if v.field == nil {
		return ""
	}
	return strings.Join(slices.Sorted(maps.Keys(*v.field)), ",")
}

func (v *limitsValue) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" || value == "" {
		return &app.Error{Reason: "is not LIMIT=value", Hint: "write --" + v.example}
	}
	if *v.field == nil {
		*v.field = map[string]string{}
	}
	(*v.field)[name] = value
	return nil
}

func (v *limitsValue) Type() string { return "LIMIT=value" }
