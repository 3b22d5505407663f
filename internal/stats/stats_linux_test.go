package stats

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/proc"
)

// TestShareOfACPU: since the worker's start at first, then since a look that is old enough.
func TestShareOfACPU(t *testing.T) {
	t.Parallel()
	s := Sampler{seen: map[worker]looks{}}
	start := time.Unix(1000, 0)
	w := api.Worker{PID: 7, Started: start}
	steps := []struct {
		after, cpu time.Duration
		want       float64
	}{
		{10 * time.Second, 5 * time.Second, 50},                   // of its life
		{10500 * time.Millisecond, 5500 * time.Millisecond, 52.4}, // too soon after
		{12 * time.Second, 5500 * time.Millisecond, 25},           // since the first look
		{12100 * time.Millisecond, 5600 * time.Millisecond, 28.6},
		{20 * time.Second, 5500 * time.Millisecond, 0},
		{30 * time.Second, 4 * time.Second, 0}, // a process of it has left with its time
	}
	for _, step := range steps {
		got := s.usage(start.Add(step.after), w, proc.Use{CPU: step.cpu, Born: 1})
		if got.CPU != step.want {
			t.Errorf("after %v: %v%%, want %v%%", step.after, got.CPU, step.want)
		}
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "sleep 1000 & sleep 1000 & echo; wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	given := api.App{Slots: []api.Slot{{Workers: []api.Worker{{PID: cmd.Process.Pid, Started: time.Now()}, {PID: 0}}}}, Spares: []api.Worker{{PID: 1 << 29}}}
	var s Sampler
	got := s.Fill(time.Now(), []api.App{given})[0]
	u := got.Slots[0].Workers[0].Usage
	if u == nil || u.Processes != 3 || u.Memory <= 0 || got.Usage.Processes != 3 || got.Usage.Memory != u.Memory {
		t.Errorf("%+v, %+v", u, got.Usage)
	}
	if got.Slots[0].Workers[1].Usage != nil || got.Spares[0].Usage != nil || given.Slots[0].Workers[0].Usage != nil || given.Usage != nil {
		t.Error("what has no process has usage, or what was given was changed")
	}
	if len(s.seen) != 1 {
		t.Errorf("%d workers are remembered", len(s.seen))
	}
	s.seen[worker{cmd.Process.Pid, 1}] = looks{}
	if s.Fill(time.Now(), nil); len(s.seen) != 1 {
		t.Error("a worker is remembered whose number is another's, or one is forgotten that lives")
	}
}
