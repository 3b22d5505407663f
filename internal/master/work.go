package master

import (
	"time"

	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/proc"
)

// workAge is how old a measurement may be that decides who retires next.
const workAge = 250 * time.Millisecond

// measure says how much work the workers have, where the core is about to choose by that. The measure is the number of descriptors that a
// worker's processes have open: nearly all that differs from one to the other are connections, and the kernel knows it without counting.
func (m *Master) measure(ev lifecycle.Event) (lifecycle.Work, bool) {
	_, begins := ev.(lifecycle.Reload)
	if !begins && m.state.Rollout == nil || !m.state.Policy.Spreads() || time.Since(m.measured) < workAge {
		return lifecycle.Work{}, false
	}
	m.measured = time.Now()
	work := lifecycle.Work{Of: map[lifecycle.WorkerID]int64{}}
	for _, w := range m.servingWorkers() {
		if w.process != nil {
			work.Of[w.id] = proc.Descriptors(proc.Tree(w.handle.PID))
		}
	}
	return work, true
}
