package master

import (
	"os"
	"syscall"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/lifecycle"
)

// handled are the signals to a master. SIGPIPE is among them so that a closed stdout is an error of a write and not the master's death.
var handled = []os.Signal{
	syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU,
	syscall.SIGPIPE,
}

func (m *Master) signal(sig os.Signal) {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
		m.stop(sig.String())
	case syscall.SIGHUP:
		m.hangUp()
	case syscall.SIGUSR1:
		m.reopenLogs()
	case syscall.SIGUSR2:
		m.upgrade()
	case syscall.SIGTTIN:
		m.scaleBy(+1)
	case syscall.SIGTTOU:
		m.scaleBy(-1)
	}
}

// stop ends the app: workers first. The second time, at once; but an echo is no second time.
func (m *Master) stop(why string) {
	if m.stops > 0 && time.Since(m.stoppedAt) < echo {
		return
	}
	m.stops, m.stoppedAt = m.stops+1, time.Now()
	m.halt(m.stops > 1, why)
}

// echo is how soon after a stop signal the next one is the same: timeout(1) sends it to its process and to its group, and a wrapper such as
// npm passes on the ^C that the terminal has sent to everybody.
const echo = 300 * time.Millisecond

// halt ends the app: workers first; now does not wait for them.
func (m *Master) halt(now bool, why string) *api.Operation {
	op := m.running(api.OperationStop)
	if op == nil {
		op = m.beginStop(why)
	}
	if now {
		m.log.Warn("stopping at once", keyReason, why)
	}
	m.endHook("the app is being stopped", now)
	m.step(lifecycle.Stop{Now: now})
	return op
}

func (m *Master) beginStop(why string) *api.Operation {
	op := m.begin(api.OperationStop)
	op.Total = len(m.state.Workers)
	m.log.Info("stopping", keyReason, why)
	m.publish(api.Event{Kind: api.EventStopping, Slot: api.NoSlot, Why: why})
	m.tell(op)
	m.abandon("the app is being stopped")
	return op
}

// hangUp reloads; but the hang-up of the terminal that the master runs in means that nobody watches it any more.
func (m *Master) hangUp() {
	if terminalGone() {
		m.stop("the terminal is gone")
		return
	}
	m.reload()
}

// reload reads the app's files beside the loop, which may take its time, and then begins.
func (m *Master) reload() {
	m.resolveAnd(func(cfg Config, err error) { m.roll(api.OperationReload, cfg, err) })
}

// resolveAnd reads the app's files beside the loop, and goes on in it.
func (m *Master) resolveAnd(do func(Config, error)) { m.resolveFrom(m.cfg, do) }

// resolveFrom reads the files that current names.
func (m *Master) resolveFrom(current Config, do func(Config, error)) {
	m.resolving++
	m.wg.Go(func() { // ends when the files have been read
		cfg, err := resolve(current)
		m.post(func() {
			m.resolving--
			m.later(m.lookAtCalendar) // what could not begin meanwhile
			do(cfg, err)
		})
	})
}

func (m *Master) scaleBy(n int) {
	want := m.state.Want + n
	switch {
	case m.cfg.App.Job:
		m.log.Warn("not scaled: a job has one worker, while it runs")
	case m.cfg.App.Singleton:
		m.log.Warn("not scaled: a singleton has one worker")
	case want < 1:
		m.log.Warn("not scaled: one worker stays", keySignal, "TTOU")
	case want > app.MaxWorkers:
		m.log.Warn("not scaled: that is the most", keySignal, "TTIN")
	case !m.state.Stopping:
		m.resize(want)
	}
}

// terminalGone tells whether the master had a controlling terminal that has hung up. Opening it then fails with ENXIO or EIO.
func terminalGone() bool {
	if !hadTerminal {
		return false
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return true
	}
	_ = tty.Close()
	return false
}

// hadTerminal is whether the process began with a controlling terminal.
var hadTerminal = func() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	_ = tty.Close()
	return true
}()
