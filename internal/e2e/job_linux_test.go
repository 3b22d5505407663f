package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/testutil"
)

// job is a job that runs each second, and what commands it.
func startJob(t *testing.T, script string, flags ...string) *site {
	t.Helper()
	s := &site{t: t, home: testutil.TempDir(t), dir: testutil.TempDir(t)}
	args := append([]string{"run", "--name", "job", "--schedule", "* * * * * *"}, flags...)
	s.run = testutil.Start(t, testutil.Command{
		Args: append(args, "--", "sh", "-c", script), Dir: s.dir, Env: []string{"MUSTER_HOME=" + s.home, "GORACE=atexit_sleep_ms=0"},
	})
	s.run.WaitLine("master started")
	return s
}

func (s *site) show() api.App {
	s.t.Helper()
	var a api.App
	if err := json.Unmarshal([]byte(s.require(0, "", "show", "--json").stdout), &a); err != nil {
		s.t.Fatal(err)
	}
	return a
}

// gate is a pipe with a name that holds whoever reads it until the test opens it.
func gate(t *testing.T, dir string) (open func()) {
	t.Helper()
	path := filepath.Join(dir, "gate")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
}

func TestJobRunsByItsSchedule(t *testing.T) {
	t.Parallel()
	s := startJob(t, "echo run by $MUSTER_APP in slot $MUSTER_SLOT; exit $(cat code)")
	if err := os.WriteFile(filepath.Join(s.dir, "code"), []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run.WaitLine("run by job in slot 0")
	s.run.WaitLines(0, 2, "run succeeded")
	if err := os.WriteFile(filepath.Join(s.dir, "code"), []byte("3"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run.WaitLine("run failed .*exit status 3")
	a := s.show()
	if a.Schedule == nil || len(a.Schedule.Next) != 3 || len(a.Runs) < 3 {
		t.Fatalf("got schedule %+v, runs %+v", a.Schedule, a.Runs)
	}
	for i, run := range a.Runs[1:] {
		if !run.Due.Truncate(time.Second).Equal(run.Due) || !run.Due.After(a.Runs[i].Due) {
			t.Errorf("run %d was due at %v, the one before at %v", run.ID, run.Due, a.Runs[i].Due)
		}
	}
	s.require(0, "NOTE", "show")
	s.require(0, "a job, by sh", "explain")
	s.require(1, "a job has one worker", "scale", "job", "2")
	s.require(0, "reloaded job", "reload", "--timeout", "20s")
	if state := s.run.Stop(); state.ExitCode() != 0 {
		t.Errorf("muster exited with %v", state)
	}
}

func TestJobOverlaps(t *testing.T) {
	t.Parallel()
	t.Run("skip", func(t *testing.T) {
		t.Parallel()
		s := startJob(t, "read x < gate; echo ran")
		open := gate(t, s.dir)
		s.run.WaitLines(0, 2, "run skipped .*the run before it was under way")
		open()
		s.run.WaitLine("ran")
		s.run.WaitLine("run succeeded run=1")
		s.run.Stop()
	})
	t.Run("queue", func(t *testing.T) {
		t.Parallel()
		s := startJob(t, "read x < gate; echo ran", "--overlap", "queue")
		open := gate(t, s.dir)
		s.run.WaitLine("run skipped run=3")
		open()
		s.run.WaitLine("run began run=2")
		s.run.Stop()
	})
	t.Run("replace", func(t *testing.T) {
		t.Parallel()
		s := startJob(t, "echo on; exec sleep 1000", "--overlap", "replace")
		s.run.WaitLines(0, 2, "run ended early .*reason=replaced .*killed by SIGTERM")
		s.run.Stop()
		if strings.Contains(s.run.Output(), "skipped") {
			t.Error("a run was skipped")
		}
	})
}

// TestJobLivesThroughAnUpgrade: the run under way goes on, and what is due meanwhile is accounted for.
func TestJobLivesThroughAnUpgrade(t *testing.T) {
	t.Parallel()
	s := startJob(t, "echo on; read x < gate; echo off")
	open := gate(t, s.dir)
	s.run.WaitLine("on")
	s.require(0, "upgraded", "upgrade")
	s.run.WaitLine("run skipped")
	open()
	s.run.WaitLine("off")
	s.run.WaitLine("run succeeded run=1")
	a := s.show()
	if a.Runs[0].Exit != "exit status 0" || a.Runs[0].Tries != 1 {
		t.Errorf("got %+v", a.Runs[0])
	}
	for i, run := range a.Runs {
		if run.ID != uint64(i+1) {
			t.Errorf("run %d is the %dth", run.ID, i)
		}
	}
	s.run.Stop()
}

// TestJobOfAStoppedComputer: a master that could not run for a while runs what is due once, and counts the rest.
func TestJobOfAStoppedComputer(t *testing.T) {
	t.Parallel()
	s := startJob(t, "echo ran", "--catch-up", "1m")
	s.run.WaitLine("run succeeded")
	s.run.Signal(syscall.SIGSTOP)
	testutil.StartMuster(t, "run", "--job", "--", "sleep", "3.5").WaitExit() // time passes
	s.run.Signal(syscall.SIGCONT)
	s.run.WaitLine(`runs missed count=[23]`)
	var missed int
	for _, run := range s.show().Runs {
		missed += run.Missed
	}
	if missed < 2 || missed > 3 {
		t.Errorf("%d were missed", missed)
	}
	s.run.Stop()
}

func TestReloadBySchedule(t *testing.T) {
	t.Parallel()
	s := startSite(t, "--reload-at", "*/2 * * * * *")
	s.release("two")
	s.run.WaitLine("scheduled reload is due")
	s.run.WaitLine("reloaded op=1")
	s.require(0, "", "wait", "1")
	s.requireRelease("two")
	s.require(0, "next reload ", "show")
	s.run.Stop()
}

// TestJobLivesThroughKills: the run under way when master or daemon is killed goes on and is not run again, and what is due meanwhile is
// accounted for, each once.
func TestJobLivesThroughKills(t *testing.T) {
	t.Parallel()
	testutil.Need(t, "flock")
	s := kept(t)
	s.write("run.sh", `exec 9> lock
flock -n 9 || { echo two at a time >> violations; exit 1; }
echo began >> told
read x < gate
`)
	told := filepath.Join(s.dir, "told")
	if err := syscall.Mkfifo(told, 0o600); err != nil {
		t.Fatal(err)
	}
	open := gate(t, s.dir)
	s.require(0, "started job", "start", "--name", "job", "--schedule", "* * * * * *", "--catch-up", "1h", "--", "sh", "run.sh")
	began := func() {
		t.Helper()
		if _, err := os.ReadFile(told); err != nil { // waits for a run
			t.Fatal(err)
		}
	}
	runs := func() []api.Run {
		t.Helper()
		e := s.entry("job")
		if e.App == nil {
			t.Fatalf("%+v", e)
		}
		return e.App.Runs
	}
	began()
	known := runs()
	first := known[len(known)-1]
	killAndAwait(t, s.entry("job").PID)
	poll(t, "runs that are skipped by the next master", func() bool {
		e := s.entry("job")
		return e.App != nil && len(e.App.Runs) > 0 && e.App.Runs[len(e.App.Runs)-1].ID > first.ID+1
	})
	s.killDaemon()
	open()
	began() // the next run
	all := runs()
	for i, run := range all {
		if run.ID == first.ID && (run.State != api.RunSucceeded && run.State != api.RunFailed || run.Tries != 1) {
			t.Errorf("the run that was under way: %+v", run)
		}
		if i == 0 {
			continue
		}
		before := all[i-1]
		if due := before.Due.Add(time.Duration(1+run.Missed) * time.Second); !run.Due.Equal(due) || run.ID != before.ID+1 {
			t.Errorf("run %d was due at %v with %d missed, the one before, %d, at %v", run.ID, run.Due, run.Missed, before.ID, before.Due)
		}
	}
	open()
	s.require(0, "stopped job", "stop", "job", "--now")
	if text, err := os.ReadFile(filepath.Join(s.dir, "violations")); !os.IsNotExist(err) {
		t.Errorf("%s, %v", text, err)
	}
}
