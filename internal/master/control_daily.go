package master

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
	"github.com/musterd/muster/internal/lifecycle"
)

// postSignal sends a signal to workers. That one ends by it is its own affair: it is replaced as any other.
func (m *Master) postSignal(_ http.ResponseWriter, r *http.Request) (any, error) {
	var body api.SignalRequest
	if err := apiserver.Decode(r, &body); err != nil {
		return nil, err
	}
	sig := signalNamed(body.Signal)
	if sig == 0 {
		return nil, &api.Error{Kind: api.KindUsage, Message: strconv.Quote(body.Signal) + " is no signal of this system", Hint: "write a name as HUP or USR2, or a number"}
	}
	return ask(r.Context(), m, func() api.SignalAnswer { return m.signalWorkers(sig, body.Slot) })
}

// signalNamed is the signal of a name or number, as "HUP", "sighup" or "1"; 0 if there is none.
func signalNamed(text string) unix.Signal {
	if n, err := strconv.Atoi(text); err == nil {
		if unix.SignalName(unix.Signal(n)) == "" {
			return 0
		}
		return unix.Signal(n)
	}
	return unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG"))
}

func (m *Master) signalWorkers(sig unix.Signal, slot *int) api.SignalAnswer {
	answer := api.SignalAnswer{Signal: unix.SignalName(sig), Workers: []uint64{}}
	for i := range m.state.Workers {
		k := &m.state.Workers[i]
		w := m.workers[k.ID]
		if w == nil || w.process == nil || slot != nil && k.Slot != *slot {
			continue
		}
		if w.process.Signal(sig) == nil { // it may have exited meanwhile
			answer.Workers = append(answer.Workers, uint64(k.ID))
		}
	}
	m.log.Info("signal sent to workers", keySignal, answer.Signal, keyWorkers, len(answer.Workers))
	return answer
}

// postReset makes what is counted start at zero.
func (m *Master) postReset(_ http.ResponseWriter, r *http.Request) (any, error) {
	return ask(r.Context(), m, func() api.App {
		m.state.ResetCounters()
		m.rescue.total = 0
		m.publish(api.Event{Kind: api.EventReset, Slot: lifecycle.NoSlot})
		return m.describeApp()
	})
}

// postReopen opens the log files again.
func (m *Master) postReopen(_ http.ResponseWriter, r *http.Request) (any, error) {
	return ask(r.Context(), m, func() api.ReopenAnswer {
		m.reopenLogs()
		return api.ReopenAnswer{Files: append([]string{}, m.output.Files()...)}
	})
}
