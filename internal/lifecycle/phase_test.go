package lifecycle

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inPhase returns an app of one slot whose worker 1 is in that phase.
func inPhase(t *testing.T, phase Phase) *teller {
	t.Helper()
	l := &teller{now: epoch}
	spares := "spares=0"
	if phase == Waiting {
		spares = "spares=1"
	}
	l.tell(t, []string{"app", "1", spares, "hang_timeout=5s"})
	steps := map[Phase][]string{
		Starting: {"spawned 1"},
		Waiting:  {"spawned 1", "ready 1", "spawned 2", "ready 2"},
		Serving:  {"spawned 1", "ready 1"},
		Draining: {"spawned 1", "ready 1", "dying 1"},
		Killing:  {"spawned 1", "ready 1", "dying 1", "+10s"},
	}
	for _, step := range steps[phase] {
		l.tell(t, strings.Fields(step))
	}
	return l
}

// TestEveryEventInEveryPhase writes down what each event does to a worker in each phase, and to nobody else's surprise.
func TestEveryEventInEveryPhase(t *testing.T) {
	t.Parallel()
	events := []string{
		"spawned W", "unspawnable W no such file", "ready W", "dying W", "blocked W", "unblocked W", "silent W", "answered W", "beat W", "hung W ping it loops", "inspected W", "extend W 60s",
		"recycle W too old", "unhealthy W status 500", "ailing W status 500", "exited W exit status 1", "scale 0", "reload", "stop", "stop now",
	}
	var table strings.Builder
	for _, phase := range []Phase{Starting, Waiting, Serving, Draining, Killing} {
		fmt.Fprintf(&table, "# %s\n", phase)
		for _, event := range events {
			table.WriteString(cell(t, phase, event))
		}
	}
	const file = "testdata/phases.txt"
	if *update {
		if err := os.WriteFile(file, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), table.String()); diff != "" {
		t.Errorf("%s (-file +now):\n%s", file, diff)
	}
}

func cell(t *testing.T, phase Phase, event string) string {
	l := inPhase(t, phase)
	id := WorkerID(1)
	if phase == Waiting {
		id = 2
	}
	if got := l.s.Worker(id).Phase; got != phase {
		t.Fatalf("worker is %s, want %s", got, phase)
	}
	effects := l.tell(t, strings.Fields(strings.ReplaceAll(event, "W", fmt.Sprint(id))))
	after := "gone"
	if w := l.s.Worker(id); w != nil {
		after = strings.TrimSpace(string(w.Phase) + " " + string(w.Reason))
	}
	return fmt.Sprintf("%s: %s\n%s", event, after, effects)
}
