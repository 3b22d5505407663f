package master

import (
	"fmt"
	"time"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/proc"
)

// memoryPace says when a worker's memory is looked at next: seldom while it does not grow, often when it will soon reach its limit.
type memoryPace struct {
	used    app.Size
	at      time.Time // of the last look
	period  time.Duration
	looking bool
}

// The time between two looks at a worker's memory.
const (
	memoryFirst  = time.Second
	memoryOften  = 250 * time.Millisecond
	memorySeldom = 30 * time.Second
	memoryNear   = 10 * time.Second // instead, above half of the limit
	memoryStill  = 64               // growth between two looks by less than this part of the limit is none
)

// next takes note of what was found and returns the time until the next look.
func (p *memoryPace) next(now time.Time, used, limit app.Size) time.Duration {
	grown, passed := used-p.used, now.Sub(p.at)
	first := p.at.IsZero()
	p.used, p.at = used, now
	switch {
	case first:
		p.period = memoryFirst
	case grown <= limit/memoryStill:
		p.period *= 2
	default: // four more looks on the way, if it goes on like this
		p.period = time.Duration(float64(passed) * float64(max(limit-used, 0)) / float64(grown) / 4)
	}
	most := memorySeldom
	if used > limit/2 {
		most = memoryNear
	}
	p.period = min(max(p.period, memoryOften), most)
	return p.period
}

// limits are those of a worker's memory. Zero: none.
func (m *Master) limits(w *worker) (soft, hard app.Size) {
	return m.of(w).App.MaxMemory, m.of(w).App.MaxMemoryHard
}

// watchMemory looks at the memory of a worker that serves, from now on until it leaves.
func (m *Master) watchMemory(w *worker) {
	soft, hard := m.limits(w)
	k := m.state.Worker(w.id)
	if soft == 0 && hard == 0 || w.memory.looking || w.process == nil || k == nil || k.Phase != lifecycle.Serving {
		return
	}
	w.memory.looking = true
	pid := w.handle.PID
	m.wg.Go(func() { // ends after one look
		used := memoryOf(pid, min(orMax(soft), orMax(hard)))
		m.post(func() { m.memoryUsed(w, used) })
	})
}

func orMax(s app.Size) app.Size {
	if s == 0 {
		return 1 << 62
	}
	return s
}

// memoryOf is what the process and its descendants have in RAM. Where they are several that seem to use too much, what they share is counted
// once, which costs more to find out.
func memoryOf(pid int, limit app.Size) app.Size {
	tree := proc.Tree(pid)
	used := app.Size(proc.Resident(tree))
	if len(tree) > 1 && used >= limit {
		if n, ok := proc.Proportional(tree); ok {
			return app.Size(n)
		}
	}
	return used
}

// memoryUsed judges what was found, and looks again in time.
func (m *Master) memoryUsed(w *worker, used app.Size) {
	w.memory.looking = false
	k := m.state.Worker(w.id)
	if m.workers[w.id] != w || k == nil || k.Phase != lifecycle.Serving || w.process.Gone() {
		return
	}
	soft, hard := m.limits(w)
	limit := soft
	if soft == 0 || used >= soft {
		limit = hard
	}
	switch {
	case hard > 0 && used >= hard:
		m.recycle(w, used, "hard limit", hard, true)
		return
	case soft > 0 && used >= soft:
		m.recycle(w, used, "limit", soft, false)
	}
	if limit == 0 { // there is nothing left to wait for
		return
	}
	m.after(w.memory.next(time.Now(), used, limit), func() {
		if m.workers[w.id] == w {
			m.watchMemory(w)
		}
	})
}

func (m *Master) recycle(w *worker, used app.Size, name string, limit app.Size, hard bool) {
	w.memory.used = used
	if whole := (used + 1<<20 - 1) >> 20 << 20; used > 1<<20 {
		used = whole // a figure that can be read
	}
	if k := m.state.Worker(w.id); k.RecycleAs == "" || hard && !k.Urgent {
		m.step(lifecycle.Recycle{Worker: w.id, Why: fmt.Sprintf("uses %s of memory, the %s is %s", used, name, limit), Hard: hard})
	}
}
