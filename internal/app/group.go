package app

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// GroupLimits bound what processes use together, by a control group. Zero: not at all.
type GroupLimits struct {
	Memory Size    // in RAM
	CPU    CPUTime // at a time
	Tasks  int     // processes and threads
}

// The names of these limits.
const (
	limitMemory = "memory"
	limitCPU    = "cpu"
	limitTasks  = "tasks"
)

// groupLimits are the limits that there are, and how each is written.
var groupLimits = map[string]string{
	limitMemory: "write a size, as 512M",
	limitCPU:    cpuTimeHint,
	limitTasks:  "write how many processes and threads, as 200",
}

// groupWords are what others call these limits.
var groupWords = map[string]string{"pids": limitTasks, "processes": limitTasks, "cpus": limitCPU, "mem": limitMemory, "ram": limitMemory}

// parseGroups reads the limits of control groups.
func (a *App) parseGroups() (err error) {
	if a.PerWorker, err = parseGroupLimits("worker_limits", a.WorkerLimits); err != nil {
		return err
	}
	if a.Together, err = parseGroupLimits("app_limits", a.AppLimits); err != nil {
		return err
	}
	worker, all := a.PerWorker, a.Together
	switch {
	case all.Memory > 0 && worker.Memory > all.Memory:
		return aboveAll(limitMemory, worker.Memory.String(), all.Memory.String())
	case all.CPU > 0 && worker.CPU > all.CPU:
		return aboveAll(limitCPU, worker.CPU.String(), all.CPU.String())
	case all.Tasks > 0 && worker.Tasks > all.Tasks:
		return aboveAll(limitTasks, strconv.Itoa(worker.Tasks), strconv.Itoa(all.Tasks))
	}
	return nil
}

func aboveAll(name, worker, all string) error {
	return invalid("worker_limits."+name, worker, "is more than all workers have together", "app_limits."+name+" is "+all)
}

func parseGroupLimits(field string, texts map[string]string) (GroupLimits, error) {
	var l GroupLimits
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if err := l.set(name, texts[name]); err != nil {
			if e, ok := err.(*Error); ok && e.Field == "" { //nolint:errorlint // what the parsers return
				return l, invalid(field+"."+name, texts[name], e.Reason, groupLimits[name])
			}
			return l, unknownGroupLimit(field, name)
		}
	}
	return l, nil
}

func (l *GroupLimits) set(name, text string) (err error) {
	switch name {
	case limitMemory:
		l.Memory, err = ParseSize(text)
	case limitCPU:
		l.CPU, err = ParseCPUTime(text)
	case limitTasks:
		l.Tasks, err = strconv.Atoi(strings.TrimSpace(text))
		if err != nil || l.Tasks < 1 {
			return invalid("", text, "is not a number of processes and threads", "")
		}
	default:
		return invalid(name, text, "", "")
	}
	return err
}

func unknownGroupLimit(field, name string) error {
	names := slices.Sorted(maps.Keys(groupLimits))
	hint := "the limits are " + strings.Join(names, ", ")
	near, ok := groupWords[name]
	if !ok {
		near, ok = Nearest(name, names)
	}
	switch _, ofProcess := rlimits[name]; {
	case ok:
		hint = "did you mean " + near + "?"
	case ofProcess:
		hint = "that is a limit of each process: limits." + name
	}
	return invalid(field, name, "there is no such limit", hint)
}
