package master

import (
	"fmt"
	"os"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/stage"
)

// restrict says in the document who the program in a slot is, and how much of the machine it gets.
func (c *Config) restrict(doc *stage.Doc, slot int) error {
	doc.Umask, doc.Nice, doc.OOMScoreAdj, doc.NoNewPrivs = c.App.UmaskBits, c.App.Nice, c.App.OOMScoreAdj, c.App.NoNewPrivs
	doc.CPUs, doc.Strict = c.cpusOf(slot), c.App.LimitsRequired
	for _, l := range c.App.Rlimits {
		resource, err := stage.Resource(l.Name)
		if err != nil {
			return fmt.Errorf("limit a worker: %w", err)
		}
		doc.Rlimits = append(doc.Rlimits, stage.Rlimit{Resource: resource, Cur: l.Soft, Max: l.Hard})
	}
	if a := c.Account; c.switches() {
		doc.User = &stage.Credential{UID: a.UID, GID: a.GID, Groups: a.Groups}
	}
	return nil
}

// switches tells whether workers are not of the master's user and groups.
func (c *Config) switches() bool { return c.Account != nil && !c.Account.Same }

// cpusOf are the CPUs of the worker in a slot. A spare has no slot yet, and may run on all of them.
func (c *Config) cpusOf(slot int) []int {
	if n := len(c.CPUSet); n > 0 && slot != lifecycle.NoSlot && c.App.CPUAffinity == app.AffinitySpread {
		return c.CPUSet[slot%n : slot%n+1]
	}
	return c.CPUSet
}

// letNotify lets a worker of another user send to its notify socket.
func (m *Master) letNotify(w *worker) error {
	cfg := m.of(w)
	if w.notify == nil || !cfg.switches() {
		return nil
	}
	if err := os.Chown(w.notify.Path(), cfg.Account.UID, -1); err != nil {
		return fmt.Errorf("give the notify socket to the worker: %w", err)
	}
	return nil
}

// settle moves a spare that has got a slot to the CPU of that.
func (m *Master) settle(w *worker) {
	cfg := m.of(w)
	if cfg.App.CPUAffinity != app.AffinitySpread || w.process == nil {
		return
	}
	if err := proc.Pin(w.handle.PID, cfg.cpusOf(w.slot)); err != nil {
		m.log.Warn("worker not moved to its CPU", logs.KeySlot, w.slot, logs.KeyWorker, w.id, keyError, err)
	}
}
