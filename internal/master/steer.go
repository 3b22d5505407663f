package master

import (
	"errors"
	"os"
	"slices"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/sock"
)

// steer lets the kernel lead new connections past slots that nobody serves, where this process may: the slots' weights follow what their
// workers do. Elsewhere the kernel's own hash spreads them, and the rescue does the rest.
func (m *Master) steer(l *listener) {
	if l.shared || l.closed {
		return
	}
	l.steering, l.unsteered = sock.NewSteering(l.sockets, sock.SteerOptions{Sticky: m.cfg.App.Balance == app.BalanceSticky})
	switch {
	case l.unsteered == nil:
		m.log.Debug("connections are steered", keyListener, l.Name)
	case errors.Is(l.unsteered, os.ErrPermission), errors.Is(l.unsteered, errors.ErrUnsupported):
		m.log.Debug("connections are not steered", keyListener, l.Name, keyError, l.unsteered)
	default:
		m.log.Warn("connections are not steered", keyListener, l.Name, keyError, l.unsteered)
	}
	if l.unsteered != nil && m.cfg.App.Balance == app.BalanceSticky {
		m.log.Warn("clients do not keep their worker: steering needs CAP_BPF", keyListener, l.Name, keyError, l.unsteered)
	}
}

// weigh brings the weights of a listener's slots up to date.
func (m *Master) weigh(l *listener) {
	if l.steering == nil || l.closed {
		return
	}
	weights := make([]int, len(l.sockets))
	for slot, k := range m.state.Served()[:min(m.state.Want, len(weights))] {
		weights[slot] = m.weight(l, k)
	}
	if !slices.ContainsFunc(weights, func(n int) bool { return n > 0 }) {
		for slot := range min(m.state.Want, len(weights)) { // nobody serves: the queues of the wanted slots keep what comes
			weights[slot] = 1
		}
	}
	if slices.Equal(weights, l.steering.Weights()) || !slices.ContainsFunc(weights, func(n int) bool { return n > 0 }) {
		return
	}
	if err := l.steering.SetWeights(weights); err != nil {
		m.log.Warn("connections are steered as before", keyListener, l.Name, keyError, err)
	}
}

// weight is the share of new connections of the slot that k serves: none while nobody takes them.
func (m *Master) weight(l *listener, k *lifecycle.Worker) int {
	if k == nil {
		return 0
	}
	w := m.workers[k.ID]
	if w == nil || w.isDeaf() || m.cfg.speaksNode() && !w.holds(l) {
		return 0
	}
	return 1
}

// restoreSteering takes over the maps of a listener's steering.
func (m *Master) restoreSteering(l *listener, saved *savedSteering) {
	if saved == nil {
		return
	}
	l.steering, l.unsteered = sock.RestoreSteering(l.sockets, saved.Weights, saved.Slots, saved.Buckets)
	if l.unsteered != nil {
		m.log.Warn("connections are steered as before the upgrade, for good", logs.KeyApp, m.cfg.App.Name, keyListener, l.Name, keyError, l.unsteered)
	}
}
