package master

import (
	"testing"
	"time"

	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/proc"
)

func TestWhoIsHung(t *testing.T) {
	t.Parallel()
	const window = time.Second
	did := func(cpu, delayed time.Duration) proc.Activity {
		return proc.Activity{CPU: cpu, Delayed: delayed, State: 'S', Wait: "futex_do_wait"}
	}
	tests := []struct {
		name string
		look look
		hung bool
		what string
	}{
		{"loops", look{by: lifecycle.SensePing, after: did(990*time.Millisecond, 0)}, true, "burns CPU (99%)"},
		{"loops beside others", look{by: lifecycle.SensePing, after: did(400*time.Millisecond, 600*time.Millisecond)}, true, "uses 40% CPU"},
		{"waits for a lock", look{by: lifecycle.SenseQueue, after: did(0, 0)}, true, "sleeps (the kernel says: in futex_do_wait)"},
		{"has a thread that wakes up now and then", look{by: lifecycle.SenseQueue, after: did(10*time.Millisecond, 0)}, true, "sleeps (the kernel says: in futex_do_wait)"},
		{"is full", look{by: lifecycle.SenseQueue, after: did(300*time.Millisecond, 0)}, false, "it works on what it has (30% CPU)"},
		{"is full, and does not answer", look{by: lifecycle.SenseQueue, owes: true, after: did(300*time.Millisecond, 0)}, true, "uses 30% CPU"},
		{"is full, and its loop stands", look{by: lifecycle.SenseHeartbeat, after: did(300*time.Millisecond, 0)}, true, "uses 30% CPU"},
		{"is stopped", look{by: lifecycle.SenseHeartbeat, after: proc.Activity{State: 'T'}}, true, "is stopped (SIGSTOP)"},
		{"is debugged", look{by: lifecycle.SensePing, after: proc.Activity{State: 't', Tracer: 12}}, false, "a debugger holds it (process 12)"},
		{"runs with an inspector", look{by: lifecycle.SensePing, held: true, after: did(0, 0)}, false, "it runs with an inspector, by which somebody may hold it"},
		{"starves", look{by: lifecycle.SensePing, after: did(50*time.Millisecond, 900*time.Millisecond)}, false, "it gets too little CPU: it used 5%, and waited for more"},
		{"is not seen, and its queue stands", look{by: lifecycle.SenseQueue, unseen: true}, false, "what it does cannot be seen"},
		{"is not seen, and does not answer", look{by: lifecycle.SensePing, unseen: true}, true, "what it does cannot be seen"},
	}
	for _, tt := range tests {
		tt.look.window = window
		if hung, what := tt.look.judge(); hung != tt.hung || what != tt.what {
			t.Errorf("who %s: hung %v, %q, want %v, %q", tt.name, hung, what, tt.hung, tt.what)
		}
	}
}

func TestTheMeasureBeginsWithTheLook(t *testing.T) {
	t.Parallel()
	l := look{
		by: lifecycle.SensePing, window: time.Second,
		before: proc.Activity{CPU: time.Hour, Delayed: time.Hour}, after: proc.Activity{CPU: time.Hour, Delayed: time.Hour, State: 'S'},
	}
	if hung, what := l.judge(); !hung || what != "sleeps" {
		t.Errorf("hung %v: %s", hung, what)
	}
}

func TestPingsAreSeldomEnough(t *testing.T) {
	t.Parallel()
	for hang, want := range map[time.Duration]time.Duration{0: 0, 2 * time.Second: 500 * time.Millisecond, time.Hour: pingSeldom} {
		if got := pingPeriod(hang); got != want {
			t.Errorf("with a hang timeout of %v every %v, want %v", hang, got, want)
		}
	}
}
