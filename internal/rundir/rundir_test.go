package rundir_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterd/muster/internal/rundir"
	"github.com/musterd/muster/internal/testutil"
)

const holderVariable = "MUSTER_TEST_HOLD"

// TestMain lets the test binary be a process that holds a name until its stdin ends.
func TestMain(m *testing.M) {
	name := os.Getenv(holderVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	folder, err := rundir.Open(name, false)
	if err == nil {
		err = folder.Publish(rundir.Info{Name: name, PID: os.Getpid()})
	}
	fmt.Println(err)
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

// home makes MUSTER_HOME a folder of the test's own. Tests that use it cannot run in parallel.
func home(t *testing.T) string {
	t.Helper()
	dir := testutil.TempDir(t)
	t.Setenv("MUSTER_HOME", dir)
	return dir
}

func open(t *testing.T, name string) *rundir.Folder {
	t.Helper()
	f, err := rundir.Open(name, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func TestFolderIsFoundAndGoes(t *testing.T) {
	dir := home(t)
	f := open(t, "api")
	if want := dir + "/run/api/control.sock"; f.Socket() != want {
		t.Errorf("socket %s, want %s", f.Socket(), want)
	}
	info := rundir.Info{Name: "api", PID: 7, Cwd: "/srv", Started: time.Unix(1, 0).UTC(), Version: "v"}
	if err := f.Publish(info); err != nil {
		t.Fatal(err)
	}
	got, err := rundir.Find("api")
	info.Socket, info.Private = f.Socket(), f.Private()
	if err != nil || cmp.Diff([]rundir.Info{info}, got) != "" {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, path := range []string{dir, dir + "/run", dir + "/run/api", f.Private()} {
		if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, stat, err)
		}
	}
	f.Close()
	if left, _ := filepath.Glob(dir + "/run/*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if left, _ := filepath.Glob(dir + "/run/.*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestNameIsTakenOnce(t *testing.T) {
	home(t)
	f := open(t, "api")
	if err := f.Publish(rundir.Info{Name: "api", PID: 7}); err != nil {
		t.Fatal(err)
	}
	_, err := rundir.Open("api", false)
	taken, ok := errors.AsType[*rundir.TakenError](err)
	if !ok || taken.PID != 7 || !strings.Contains(taken.Hint(), "--name") || !strings.Contains(err.Error(), "process 7") {
		t.Errorf("got %v", err)
	}
	open(t, "web")
	f.Close()
	open(t, "api")
}

func TestNameOfAKilledMasterIsFree(t *testing.T) {
	home(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holderVariable+"=api")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close() })
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "<nil>\n" {
		t.Fatalf("holder said %q", line)
	}
	_, err = rundir.Open("api", false)
	if taken, ok := errors.AsType[*rundir.TakenError](err); !ok || taken.PID != cmd.Process.Pid {
		t.Errorf("got %v", err)
	}
	infos, err := rundir.Find("api")
	if err != nil || len(infos) != 1 {
		t.Fatalf("found %v, %v", infos, err)
	}
	guard, err := os.Open(infos[0].Private) // as the guard of that master holds it
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(guard.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	var done atomic.Bool
	go func() { // ends before Open can
		done.Store(true)
		_ = guard.Close()
	}()
	f := open(t, "api")
	if !done.Load() {
		t.Error("the name was free before the guard had done its work")
	}
	if f.Former() != infos[0].Private || f.Private() != "" {
		t.Errorf("former folder %q, private folder %q; the dead one left %+v", f.Former(), f.Private(), infos[0])
	}
	f.Close() // as if it were killed here: the next one must find the workers as well
	f = open(t, "api")
	if f.Former() != infos[0].Private {
		t.Errorf("former folder %q", f.Former())
	}
	if err := f.Renew(); err != nil || f.Former() != "" || f.Private() == "" {
		t.Errorf("%v, former folder %q, private folder %q", err, f.Former(), f.Private())
	}
	if left, err := rundir.All(); err != nil || len(left) > 0 {
		t.Errorf("the dead one is still there: %v, %v", left, err)
	}
}

func TestLongPathsGoElsewhere(t *testing.T) {
	dir := home(t)
	tests := []struct{ name, home string }{
		{"long name", dir},
		{"long base", dir + "/" + strings.Repeat("x", 100)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("MUSTER_HOME", test.home)
			name := strings.Repeat("n", 64)
			f := open(t, name)
			if err := f.Publish(rundir.Info{Name: name}); err != nil {
				t.Fatal(err)
			}
			got, err := rundir.Find(name)
			if err != nil || len(got) != 1 || got[0].Socket != f.Socket() || len(f.Socket()) > 107 {
				t.Errorf("got %+v, %v", got, err)
			}
			if len(f.Private()) > 80 {
				t.Errorf("no room for sockets in %s", f.Private())
			}
		})
	}
}

func TestForeignFolderIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a folder that is somebody else's")
	}
	dir := home(t)
	if err := os.MkdirAll(dir+"/run", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir+"/run", 65534, 65534); err != nil {
		t.Fatal(err)
	}
	_, err := rundir.Open("api", false)
	if foreign, ok := errors.AsType[*rundir.ForeignError](err); !ok || foreign.UID != 65534 || !strings.Contains(foreign.Hint(), "MUSTER_HOME") {
		t.Errorf("got %v", err)
	}
}

func TestLinkIsNoFolder(t *testing.T) {
	dir := home(t)
	if err := os.Symlink(t.TempDir(), dir+"/run"); err != nil {
		t.Fatal(err)
	}
	if _, err := rundir.Open("api", false); err == nil || !strings.Contains(err.Error(), "is not a folder") {
		t.Errorf("got %v", err)
	}
}

func TestOpenFolderIsShut(t *testing.T) {
	dir := home(t)
	if err := os.MkdirAll(dir+"/run", 0o755); err != nil {
		t.Fatal(err)
	}
	open(t, "api")
	if stat, err := os.Stat(dir + "/run"); err != nil || stat.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", stat, err)
	}
}

func TestBasesOfTheEnvironment(t *testing.T) {
	runtime, temp := testutil.TempDir(t), testutil.TempDir(t)
	t.Setenv("MUSTER_HOME", "")
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	t.Setenv("TMPDIR", temp)
	f := open(t, "muster-rundir-test")
	want := runtime + "/muster/"
	if os.Geteuid() == 0 {
		want = "/run/muster/"
	}
	if !strings.HasPrefix(f.Socket(), want) {
		t.Errorf("socket %s, want it below %s", f.Socket(), want)
	}
	f.Close()
	if os.Geteuid() == 0 {
		t.Skip("root has /run/muster")
	}
	t.Setenv("XDG_RUNTIME_DIR", "relative")
	if f := open(t, "muster-rundir-test"); !strings.HasPrefix(f.Socket(), fmt.Sprintf("%s/muster-%d/", temp, syscall.Geteuid())) {
		t.Errorf("socket %s, want it below %s", f.Socket(), temp)
	}
}

func TestNothingRuns(t *testing.T) {
	dir := home(t)
	if all, err := rundir.All(); err != nil || len(all) > 0 {
		t.Errorf("got %v, %v", all, err)
	}
	if err := os.MkdirAll(dir+"/run/odd", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/run/odd/master.json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := rundir.All(); err != nil || len(all) > 0 {
		t.Errorf("got %v, %v", all, err)
	}
}
