// Package stats tells what the workers of apps take of the machine: CPU and memory, looked at when somebody asks.
package stats

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/proc"
)

// window is how long ago the look was at least against which the share of a CPU counts, but for the first look at a worker.
const window = time.Second

// Sampler remembers the last looks at workers, so that the next one can tell what a worker took since. The zero value is good; it may be
// used by several goroutines.
type Sampler struct {
	mu   sync.Mutex
	seen map[worker]looks
}

// worker is a process for ever: a number alone is soon another's.
type worker struct {
	pid  int
	born uint64
}

type look struct {
	at  time.Time
	cpu time.Duration
}

// looks are the last one, and the one before against which the next counts until the last is old enough.
type looks struct{ base, last look }

// Fill returns the apps with what their workers take, in copies. Where the system does not tell, they stay as they are.
func (s *Sampler) Fill(now time.Time, apps []api.App) []api.App {
	uses := proc.Sessions()
	if uses == nil {
		return apps
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[worker]looks{}
	}
	maps.DeleteFunc(s.seen, func(w worker, _ looks) bool { return uses[w.pid].Born != w.born }) // it has ended
	filled := make([]api.App, len(apps))
	for i, a := range apps {
		filled[i] = s.fill(now, a, uses)
	}
	return filled
}

func (s *Sampler) fill(now time.Time, a api.App, uses map[int]proc.Use) api.App {
	var total api.Usage
	measure := func(workers []api.Worker) []api.Worker {
		workers = slices.Clone(workers)
		for i := range workers {
			use, found := uses[workers[i].PID]
			if !found || workers[i].PID == 0 {
				continue
			}
			usage := s.usage(now, workers[i], use)
			workers[i].Usage = &usage
			total.CPU += usage.CPU
			total.CPUTime += usage.CPUTime
			total.Memory += usage.Memory
			total.Processes += usage.Processes
		}
		return workers
	}
	a.Slots = slices.Clone(a.Slots)
	for i := range a.Slots {
		a.Slots[i].Workers = measure(a.Slots[i].Workers)
	}
	a.Spares = measure(a.Spares)
	total.CPU = rounded(total.CPU)
	a.Usage = &total
	return a
}

func (s *Sampler) usage(now time.Time, w api.Worker, use proc.Use) api.Usage {
	key := worker{w.PID, use.Born}
	seen, known := s.seen[key]
	if !known {
		seen = looks{base: look{at: w.Started}, last: look{at: now, cpu: use.CPU}}
	} else if now.Sub(seen.last.at) >= window {
		seen = looks{base: seen.last, last: look{at: now, cpu: use.CPU}}
	}
	s.seen[key] = seen
	u := api.Usage{CPUTime: app.Duration(use.CPU), Memory: app.Size(use.Memory), Processes: use.Processes}
	if passed := now.Sub(seen.base.at); passed > 0 && !seen.base.at.IsZero() {
		u.CPU = rounded(100 * float64(use.CPU-seen.base.cpu) / float64(passed))
	}
	return u
}

// rounded is a share of a CPU in percent with one digit behind the point, and not below zero: the time of processes that have left is lost.
func rounded(percent float64) float64 {
	return max(0, float64(int64(percent*10+0.5))/10)
}
