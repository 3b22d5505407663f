package master

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/proc"
)

// getEnv answers with the environment of each worker that runs.
func (m *Master) getEnv(_ http.ResponseWriter, r *http.Request) (any, error) {
	planned, err := ask(r.Context(), m, m.plannedEnvs)
	if err != nil {
		return nil, err
	}
	for i := range planned { // outside of the loop: there may be a thousand
		if env, err := proc.Environ(planned[i].PID); err == nil && hasID(env, planned[i].Worker) {
			planned[i].Env, planned[i].Planned = env, false
		}
		slices.Sort(planned[i].Env)
	}
	return planned, nil
}

// hasID tells whether it is the environment of that worker, whole: not of another process by now, nor what a program has written over its own.
func hasID(env []string, worker uint64) bool {
	return getenv(env, idVariable) == strconv.FormatUint(worker, 10)
}

// plannedEnvs are the workers that run, each with the environment that it would be started with now.
func (m *Master) plannedEnvs() []api.WorkerEnv {
	all := []api.WorkerEnv{}
	for i := range m.state.Workers {
		k := &m.state.Workers[i]
		w := m.workers[k.ID]
		if w == nil || w.pid() == 0 {
			continue
		}
		env, _ := m.plannedEnv(w) // it was started with one
		all = append(all, api.WorkerEnv{Worker: uint64(k.ID), Slot: k.Slot, PID: w.pid(), Generation: uint64(k.Gen), Env: env, Planned: true})
	}
	slices.SortFunc(all, bySlot)
	return all
}

// bySlot orders workers by their slots, spares last.
func bySlot(a, b api.WorkerEnv) int {
	return cmp.Or(cmp.Compare(uint(a.Slot), uint(b.Slot)), cmp.Compare(a.Worker, b.Worker)) // api.NoSlot is the greatest
}
