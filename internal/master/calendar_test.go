package master

import (
	"errors"
	"testing"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
)

// scheduled is a fake master that is reloaded at 3, and whose files cannot be read, so that its reloads end as soon as they begin.
func scheduled(t *testing.T) *fake {
	return newFake(t, func(c *Config) {
		a, err := app.New(app.Spec{Name: "api", Command: []string{"x"}, ReloadAt: "0 3 * * *"})
		if err != nil {
			t.Fatal(err)
		}
		c.App = a
		c.Reload = func(c Config) (Config, error) { return c, errors.New("no such file") }
	}, me)
}

func (f *fake) reloads() int {
	n := 0
	f.do(func() {
		for _, op := range f.m.control.memory.Operations {
			if op.Kind == api.OperationReload {
				n++
			}
		}
	})
	return n
}

// dueAt makes the scheduled reload due at that moment, and has the master look.
func (f *fake) dueAt(at time.Time) {
	f.do(func() {
		f.m.lookAtCalendar()
		f.m.control.memory.Calendar.Reload.Next = at
		f.m.lookAtCalendar()
	})
}

func TestScheduledReloadWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	f := scheduled(t)
	events, err := f.c.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	var op *api.Operation
	f.do(func() { op = f.m.begin(api.OperationUpgrade) })
	f.dueAt(time.Now().Add(-time.Second))
	a, err := f.c.App(t.Context())
	if err != nil || a.ReloadAt == nil || !a.ReloadAt.Postponed || len(a.ReloadAt.Next) != shownTimes || f.reloads() != 0 {
		t.Fatalf("got %+v and %d reloads, %v", a.ReloadAt, f.reloads(), err)
	}
	f.do(func() { f.m.succeed(op) })
	for { // the snapshot, the end of the upgrade, that of the reload
		event, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		if event.Operation != nil && event.Operation.Kind == api.OperationReload {
			break
		}
	}
	if a, err = f.c.App(t.Context()); err != nil || a.ReloadAt.Postponed || f.reloads() != 1 {
		t.Errorf("got %+v and %d reloads, %v", a.ReloadAt, f.reloads(), err)
	}
}

func TestScheduledReloadThatIsTooLate(t *testing.T) {
	t.Parallel()
	f := scheduled(t)
	f.dueAt(time.Now().Add(-2 * time.Minute))
	if a, err := f.c.App(t.Context()); err != nil || a.ReloadAt.Postponed || f.reloads() != 0 {
		t.Errorf("got %+v and %d reloads, %v", a.ReloadAt, f.reloads(), err)
	}
	f.do(func() {
		if next, ok := f.m.nextDue(); !ok || time.Until(next) > lookAgain {
			t.Errorf("looks again at %v, %v", next, ok)
		}
		f.m.state.Stopping = true
		f.m.lookAtCalendar()
		if _, ok := f.m.nextDue(); ok {
			t.Error("something is due after the stop")
		}
		f.m.state.Stopping = false
	})
}
