package proc

import (
	"bufio"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// until observes a process until it is seen in a state.
func until(t *testing.T, pid int, what string, is func(Activity) bool) Activity {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		a, err := Observe([]int{pid})
		if err != nil {
			t.Fatal(err)
		}
		if is(a) {
			return a
		}
	}
	t.Fatalf("process %d is not seen to be %s", pid, what)
	return Activity{}
}

// startShell runs a script, which is to print a line when it is there.
func startShell(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	release, err := Own(func() (int, error) {
		err := cmd.Start()
		if err != nil {
			return 0, err
		}
		return cmd.Process.Pid, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		release()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestActivityOfAProcessThatLoops(t *testing.T) {
	t.Parallel()
	cmd := startShell(t, "echo; while :; do :; done")
	a := until(t, cmd.Process.Pid, "computing", func(a Activity) bool { return a.CPU >= 50*time.Millisecond })
	if a.Tracer != 0 || a.Stopped() {
		t.Errorf("%+v", a)
	}
}

func TestActivityOfAProcessThatSleepsAndIsStopped(t *testing.T) {
	t.Parallel()
	cmd := startShell(t, "echo; exec sleep 1000")
	a := until(t, cmd.Process.Pid, "asleep", func(a Activity) bool { return a.State == 'S' })
	if a.CPU > time.Second {
		t.Errorf("%+v", a)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, cmd.Process.Pid, "stopped", Activity.Stopped)
}

func TestActivityOfNobody(t *testing.T) {
	t.Parallel()
	cmd := startShell(t, "echo; exec sleep 1000")
	pid := cmd.Process.Pid
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if a, err := Observe([]int{pid}); err == nil {
		t.Errorf("%+v of a process that is gone", a)
	}
}
