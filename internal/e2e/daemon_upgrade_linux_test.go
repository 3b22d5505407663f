package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// TestDaemonIsUpgraded: the daemon becomes the program that is now installed, in the same process. Commands that come meanwhile wait; masters and
// workers notice nothing, and a master that is killed right after is replaced.
func TestDaemonIsUpgraded(t *testing.T) {
	t.Parallel()
	s := kept(t)
	binary := filepath.Join(s.dir, "muster")
	install(t, binary)
	daemon := testutil.Start(t, testutil.Command{Path: binary, Args: []string{"daemon"}, Dir: s.dir, Env: []string{"MUSTER_HOME=" + s.home}})
	daemon.WaitLine("daemon serves")
	s.startApp()
	e := s.entry("site")
	before := workerPIDs(e.App)
	seen := s.crowd()
	stop := make(chan struct{})
	asked := make(chan int)
	go func() { // ends with stop
		n := 0
		defer func() { asked <- n }()
		for {
			select {
			case <-stop:
				return
			default:
				n++
				if r := s.command("list", "--quiet"); r.code != 0 || r.stdout != "site\n" {
					t.Errorf("list: %+v", r)
				}
			}
		}
	}()
	for round := range 5 {
		install(t, binary)
		s.require(0, "it keeps 1 app", "daemon", "upgrade")
		if pid := s.daemonPID(); pid != daemon.Pid() {
			t.Errorf("the daemon was process %d and is %d", daemon.Pid(), pid)
		}
		if now := s.entry("site"); now.PID != e.PID || workerPIDs(now.App) != before {
			t.Errorf("master %d, workers %s; were %d, %s", now.PID, workerPIDs(now.App), e.PID, before)
		}
		if round%2 == 0 {
			killAndAwait(t, e.PID)
			a := s.newMaster(e.PID, 0)
			if workerPIDs(a) != before {
				t.Errorf("workers %s, were %s", workerPIDs(a), before)
			}
			e = s.entry("site")
		}
	}
	if err := os.WriteFile(binary+".new", []byte("#!/bin/sh\necho muster-snapshot 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(binary+".new", binary); err != nil {
		t.Fatal(err)
	}
	s.require(1, "the daemon goes on as it is", "daemon", "upgrade")
	install(t, binary)
	close(stop)
	t.Logf("%d commands meanwhile", <-asked)
	s.requireOnlyLostIn(nil, seen()...)
	if r := s.require(0, "", "list", "--quiet"); r.stdout != "site\n" {
		t.Errorf("%+v", r)
	}
	s.require(0, "with it 1 app", "daemon", "stop")
	if code := daemon.WaitExit().ExitCode(); code != 0 {
		t.Errorf("the daemon ended with %d", code)
	}
}
