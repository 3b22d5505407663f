package app

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Affinity says which of its CPUs a worker may run on.
type Affinity string

// The kinds of affinity.
const (
	AffinityAll    Affinity = "all"    // any
	AffinitySpread Affinity = "spread" // one, by the number of its slot
)

// Rlimit is a resource limit of each process, setrlimit(2).
type Rlimit struct {
	Name       string // as in limits.conf(5): "nofile"
	Soft, Hard uint64 // Unlimited: none
}

// Unlimited is a resource limit that is none.
const Unlimited = ^uint64(0)

// rlimits are the limits that there are; true for those that count bytes.
var rlimits = map[string]bool{
	"as": true, "core": true, "cpu": false, "data": true, "fsize": true, "locks": false, "memlock": true, "msgqueue": true, "nice": false,
	"nofile": false, "nproc": false, "rss": true, "rtprio": false, "rttime": false, "sigpending": false, "stack": true,
}

const (
	rlimitHint = `write a number, "SOFT:HARD" or "unlimited", as nofile: 65536 or core: 0`
	umaskHint  = "write it in octal, as 027"
	modeHint   = "write it in octal, as 660"
	cpusHint   = "write a list as 0-3,6; the first CPU is 0"
)

// parseProcess reads what the processes of workers are to be.
func (a *App) parseProcess() error {
	var err error
	if a.Rlimits, err = parseRlimits(a.Limits); err != nil {
		return err
	}
	if err = a.parseGroups(); err != nil {
		return err
	}
	if a.UmaskBits, err = parseOctal("umask", a.Umask, umaskHint); err != nil {
		return err
	}
	if a.ListenBits, err = parseOctal("listen_mode", a.ListenMode, modeHint); err != nil {
		return err
	}
	a.CPUSet, err = ParseCPUs(a.CPUs)
	return err
}

func (a *App) checkProcess() error {
	switch {
	case a.Nice != nil && (*a.Nice < -20 || *a.Nice > 19):
		return invalid("nice", strconv.Itoa(*a.Nice), "is out of range", "write a number from -20 (favoured) to 19 (last)")
	case a.OOMScoreAdj != nil && (*a.OOMScoreAdj < -1000 || *a.OOMScoreAdj > 1000):
		return invalid("oom_score_adj", strconv.Itoa(*a.OOMScoreAdj), "is out of range", "write a number from -1000 (never killed) to 1000 (killed first)")
	}
	for _, named := range [][2]string{{"user", a.User}, {"group", a.Group}, {"listen_owner", a.ListenOwner}, {"listen_group", a.ListenGroup}} {
		if err := checkAccount(named[0], named[1]); err != nil {
			return err
		}
	}
	if (a.ListenMode != "" || a.ListenOwner != "" || a.ListenGroup != "") && a.Handoff == HandoffNone {
		return invalid("listen_mode", a.ListenMode, "there is no listener that it could be for", "add one with --listen unix:/run/x.sock")
	}
	return oneOf("cpu_affinity", a.CPUAffinity, AffinityAll, AffinitySpread)
}

func checkAccount(field, name string) error {
	before, after, found := strings.Cut(name, ":")
	switch {
	case found && field == "user":
		return invalid(field, name, "is not the name of a user", "write user: "+before+" and group: "+after)
	case strings.ContainsAny(name, ":,/ \t\n\x00"):
		return invalid(field, name, "is not a name", "write the name, or the number")
	}
	return nil
}

func parseRlimits(limits map[string]string) ([]Rlimit, error) {
	var all []Rlimit
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		text := limits[name]
		inBytes, known := rlimits[name]
		if !known {
			hint := "the limits are " + strings.Join(slices.Sorted(maps.Keys(rlimits)), ", ")
			if near, ok := Nearest(name, slices.Sorted(maps.Keys(rlimits))); ok {
				hint = "did you mean " + near + "?"
			}
			return nil, invalid("limits", name, "there is no such limit", hint)
		}
		first, second, pair := strings.Cut(text, ":")
		if !pair {
			second = first
		}
		soft, ok := parseRlimit(first, inBytes)
		hard, ok2 := parseRlimit(second, inBytes)
		switch {
		case !ok || !ok2:
			return nil, invalid("limits."+name, text, "is not a limit", rlimitHint)
		case soft > hard:
			return nil, invalid("limits."+name, text, "the soft limit is above the hard one", `write "SOFT:HARD"`)
		}
		all = append(all, Rlimit{Name: name, Soft: soft, Hard: hard})
	}
	return all, nil
}

// parseRlimit reads a number, with a unit where it counts bytes.
func parseRlimit(text string, inBytes bool) (uint64, bool) {
	text = strings.TrimSpace(text)
	if text == "unlimited" || text == "infinity" {
		return Unlimited, true
	}
	if n, err := strconv.ParseUint(text, 10, 63); err == nil || !inBytes {
		return n, err == nil
	}
	n, ok := parseBytes(text)
	return uint64(n), ok && n < 1<<62
}

// parseOctal reads permission bits; nil for an empty text.
func parseOctal(field, text, hint string) (*int, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	if err != nil || n > 0o777 {
		return nil, invalid(field, text, "is not a mode", hint)
	}
	bits := int(n)
	return &bits, nil
}

// maxCPU bounds the numbers of CPUs.
const maxCPU = 1 << 13

// ParseCPUs reads a list of CPUs, as "0-3,6"; none for an empty text.
func ParseCPUs(text string) ([]int, error) {
	if text == "" {
		return nil, nil
	}
	var set []int
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err != nil || err2 != nil || from > to || to >= maxCPU {
			return nil, invalid("cpus", text, "is not a list of CPUs", cpusHint)
		}
		for cpu := from; cpu <= to; cpu++ {
			set = append(set, int(cpu))
		}
	}
	slices.Sort(set)
	return slices.Compact(set), nil
}

func (s Spec) cloneProcess() Spec {
	s.Limits, s.WorkerLimits, s.AppLimits = maps.Clone(s.Limits), maps.Clone(s.WorkerLimits), maps.Clone(s.AppLimits)
	s.Nice, s.OOMScoreAdj = clonePointer(s.Nice), clonePointer(s.OOMScoreAdj)
	return s
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	value := *p
	return &value
}
