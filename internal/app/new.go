package app

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What New completes an empty field with.
const (
	DefaultStartTimeout   = Duration(30 * time.Second)
	DefaultStopTimeout    = Duration(10 * time.Second)
	DefaultMinUptime      = Duration(time.Second)
	DefaultStopSignal     = "TERM"
	DefaultHandoffMessage = "server"
	DefaultInstanceVar    = "NODE_APP_INSTANCE"
	DefaultSurge          = 1
	DefaultReloadSettle   = Duration(time.Second) // as min_uptime: what crashes right after its first requests is not rolled out
	DefaultHealthTimeout  = Duration(5 * time.Second)
)

// New validates spec and completes it. The error is an *Error. The app shares nothing with spec.
// Workers and MaxStarting stay as they are: what empty means there depends on the machine and the program.
func New(spec Spec) (App, error) {
	a := App{Spec: spec.clone()}
	if err := checkCommand(a.Command); err != nil {
		return App{}, err
	}
	a.complete()
	var err error
	if a.Listeners, err = nameListeners(a.Listen); err != nil {
		return App{}, err
	}
	if a.ReadyBy, err = ParseReady(a.Ready); err != nil {
		return App{}, err
	}
	if a.HealthBy, err = ParseHealth(a.Health); err != nil {
		return App{}, err
	}
	if a.Signal, err = ParseSignal(a.StopSignal); err != nil {
		return App{}, err
	}
	if err := a.parseProcess(); err != nil {
		return App{}, err
	}
	if err := a.parseSchedules(); err != nil {
		return App{}, err
	}
	if err := a.check(); err != nil {
		return App{}, err
	}
	return a, nil
}

func (s Spec) clone() Spec {
	s.Command = slices.Clone(s.Command)
	s.Listen = slices.Clone(s.Listen)
	s.EnvFile = slices.Clone(s.EnvFile)
	s.EnvDrop = slices.Clone(s.EnvDrop)
	s.Watch, s.WatchIgnore = slices.Clone(s.Watch), slices.Clone(s.WatchIgnore)
	s.Env, s.DependsOn = maps.Clone(s.Env), maps.Clone(s.DependsOn)
	if s.MaxRestarts != nil {
		n := *s.MaxRestarts
		s.MaxRestarts = &n
	}
	return s.cloneProcess().cloneLogs()
}

func checkCommand(command []string) error {
	if len(command) == 0 || command[0] == "" {
		return invalid("command", "", "is empty", "name a file or a program to run")
	}
	for _, word := range command {
		if strings.ContainsRune(word, 0) {
			return invalid("command", word, "holds a NUL", "")
		}
	}
	return nil
}

func (a *App) complete() {
	a.completeJob()
	if a.Singleton {
		setDefault(&a.Workers, "1")
	}
	setDefault(&a.Name, nameOf(a.Command))
	setDefault(&a.Handoff, HandoffAuto)
	setDefault(&a.HandoffMessage, DefaultHandoffMessage)
	setDefault(&a.Balance, BalanceAuto)
	setDefault(&a.Ready, string(ReadyAuto))
	setDefault(&a.StartTimeout, DefaultStartTimeout)
	setDefault(&a.StopTimeout, DefaultStopTimeout)
	setDefault(&a.StopSignal, DefaultStopSignal)
	setDefault(&a.MinUptime, DefaultMinUptime)
	setDefault(&a.InstanceVar, DefaultInstanceVar)
	setDefault(&a.Surge, DefaultSurge)
	setDefault(&a.ReloadSettle, DefaultReloadSettle)
	setDefault(&a.DrainTimeout, a.StopTimeout)
	setDefault(&a.HealthTimeout, DefaultHealthTimeout)
	setDefault(&a.CPUAffinity, AffinityAll)
	a.completeLogs()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (a *App) check() error {
	checks := []func() error{
		func() error { return checkAppName(a.Name) },
		a.checkDependsOn,
		a.checkJob,
		a.checkWorkers,
		a.checkSingleton,
		a.checkHandoff,
		func() error {
			return oneOf("balance", a.Balance, BalanceAuto, BalanceSlots, BalanceShared, BalanceSticky)
		},
		a.checkDurations,
		a.checkTimes,
		a.checkWatch,
		a.checkLogs,
		a.checkCounts,
		a.checkRecycling,
		a.checkProcess,
		a.checkEnv,
		func() error { return a.CheckPlaceholders(a.Command) },
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) checkWorkers() error {
	if a.Workers == "" {
		return nil
	}
	_, err := ParseWorkers(a.Workers, 1)
	return err
}

// checkSingleton refuses what would need two workers at a time.
func (a *App) checkSingleton() error {
	const alone = "a singleton has one worker, and never two at a time"
	switch {
	case !a.Singleton:
	case a.Job:
		return invalid("singleton", "", "no two runs of a job are under way at a time anyway", "drop --singleton")
	case a.Workers != "1":
		return invalid("workers", a.Workers, alone, "drop --workers")
	case a.Spares > 0:
		return invalid("spares", strconv.Itoa(a.Spares), alone, "drop --spares")
	case a.Surge != DefaultSurge:
		return invalid("surge", strconv.Itoa(a.Surge), alone, "drop --surge")
	}
	return nil
}

func (a *App) checkHandoff() error {
	if err := oneOf("handoff", a.Handoff, HandoffAuto, HandoffInherit, HandoffNode, HandoffMessage, HandoffNone); err != nil {
		return err
	}
	listens := len(a.Listeners) > 0
	switch {
	case a.Handoff == HandoffNone && listens:
		return invalid("handoff", "none", "the listener "+a.Listeners[0].Address()+" would reach no worker", "drop --listen, or choose the hand-off inherit, node or message")
	case !listens && (a.Handoff == HandoffInherit || a.Handoff == HandoffMessage):
		return invalid("handoff", string(a.Handoff), "there is no listener to hand off", "add one with --listen :3000")
	}
	return nil
}

func (a *App) checkDurations() error {
	fields := []struct {
		name  string
		value Duration
	}{
		{"start_timeout", a.StartTimeout}, {"stop_timeout", a.StopTimeout}, {"min_uptime", a.MinUptime},
		{"reload_settle", a.ReloadSettle}, {"retire_over", a.RetireOver}, {"drain_timeout", a.DrainTimeout}, {"hang_timeout", a.HangTimeout},
		{"health_timeout", a.HealthTimeout}, {"max_age", a.MaxAge},
	}
	for _, f := range fields {
		if f.value < 0 {
			return invalid(f.name, f.value.String(), "must be longer than zero", durationHint)
		}
	}
	return nil
}

func (a *App) checkCounts() error {
	if a.MaxRestarts != nil && *a.MaxRestarts < 0 {
		return invalid("max_restarts", "", "must not be negative", "leave it out to never give up")
	}
	if a.MaxStarting < 0 {
		return invalid("max_starting", "", "must not be negative", "leave it out for as many as there are CPUs")
	}
	if a.MaxOldGenerations < 0 {
		return invalid("max_old_generations", strconv.Itoa(a.MaxOldGenerations), "must not be negative", "leave it out for 3")
	}
	if a.Surge < 0 || a.Surge > MaxWorkers {
		return invalid("surge", strconv.Itoa(a.Surge), "is not a number of workers", "write how many more than wanted may run during a reload; 1 is the default")
	}
	if a.Spares < 0 || a.Spares > MaxWorkers {
		return invalid("spares", strconv.Itoa(a.Spares), "is not a number of workers", "write how many booted workers shall wait for a slot; none is the default")
	}
	return nil
}

func (a *App) checkRecycling() error {
	switch {
	case a.MaxMemory < 0:
		return invalid("max_memory", a.MaxMemory.String(), "must be more than zero", sizeHint)
	case a.MaxMemoryHard < 0:
		return invalid("max_memory_hard", a.MaxMemoryHard.String(), "must be more than zero", sizeHint)
	case a.MaxMemoryHard > 0 && a.MaxMemoryHard <= a.MaxMemory:
		return invalid("max_memory_hard", a.MaxMemoryHard.String(), "must be more than max_memory, "+a.MaxMemory.String(),
			"at max_memory a worker waits for its turn to be replaced; the hard limit is for one that cannot wait")
	case a.MaxRequests < 0:
		return invalid("max_requests", strconv.Itoa(a.MaxRequests), "must not be negative", "leave it out for no limit")
	}
	return nil
}

// recycles tells whether workers are replaced by fresh ones although nothing is wrong.
func (a *App) recycles() bool {
	return a.MaxAge > 0 || a.MaxMemory > 0 || a.MaxMemoryHard > 0 || a.MaxRequests > 0
}

func (a *App) checkEnv() error {
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return invalid("env", name, "is not the name of a variable", "write NAME=value")
		}
		if strings.ContainsRune(a.Env[name], 0) {
			return invalid("env", name, "its value holds a NUL", "")
		}
	}
	for _, pattern := range a.EnvDrop {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return invalid("env_drop", pattern, "is not a pattern", "write a name as AWS_PROFILE, a pattern as AWS_*, or * for all")
		}
	}
	if strings.ContainsAny(a.InstanceVar, "=\x00 ") || slices.Contains(strings.Split(a.InstanceVar, ","), "") {
		return invalid("instance_var", a.InstanceVar, "is not the name of a variable, nor several", "")
	}
	return nil
}

// In returns the app with the relative paths of its Unix sockets and log files taken from the absolute directory dir.
func (a App) In(dir string) (App, error) {
	a.Spec = a.logsIn(dir)
	a.Listeners = slices.Clone(a.Listeners)
	for i := range a.Listeners {
		l := &a.Listeners[i]
		if l.Network != "unix" || path.IsAbs(l.Path) {
			continue
		}
		l.Path = path.Join(dir, l.Path)
		if err := checkPathLength(*l); err != nil {
			err.Field, err.Value = "listen", a.Listen[i]
			return App{}, err
		}
	}
	return a, checkOverlap(a.Listeners, a.Listen)
}
