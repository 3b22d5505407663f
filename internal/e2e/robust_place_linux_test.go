package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/testutil"
)

// spaceVariable names the test that runs in a mount space of its own.
const spaceVariable = "E2E_SPACE"

// inSpace has the test run again in a process with a mount space of its own. It is true there.
func inSpace(t *testing.T) bool {
	t.Helper()
	needRoot(t)
	if os.Getenv(spaceVariable) == t.Name() {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.CommandContext(testutil.Context(t), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v")
	cmd.Env = append(os.Environ(), spaceVariable+"="+t.Name(), "MUSTER_BIN="+testutil.Muster(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// disk mounts a small file system of its own, until the end of the test.
func disk(t *testing.T, size string) string {
	t.Helper()
	dir := testutil.TempDir(t)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all the room of a disk, once more if need be.
func fill(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "fill")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for size := 1 << 16; size > 0; size /= 2 {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		err = nil
	}
	return path
}

// record is the file of an app.
func (s *site) record(name string) (r struct {
	Boot   string `json:"boot"`
	Scaled string `json:"scaled"`
}) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.home, "apps", name+".json"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// TestAFullDisk: what runs goes on, and everything that can be commanded of it; what cannot be done is told, and leaves nothing half-done; and
// what could not be written down is, as soon as there is room.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	if !inSpace(t) {
		return
	}
	home := disk(t, "2m")
	s := keptAt(t, home)
	s.startApp()
	s.require(0, "started sleeper", "start", "--name", "sleeper", "--", "sleep", "1000")
	s.require(0, "saved 2 apps", "save")
	dump, err := os.ReadFile(filepath.Join(home, "dump.json"))
	if err != nil {
		t.Fatal(err)
	}
	filler := fill(t, home)
	seen := s.crowd()
	r := s.require(1, "no space left on device", "start", "--name", "another", "--", "sleep", "1000")
	if !strings.Contains(r.stderr, "\nhint: the disk is full") {
		t.Errorf("%+v", r)
	}
	s.require(4, "there is no app named another", "show", "another")
	r = s.require(1, "no space left on device", "save")
	if !strings.Contains(r.stderr, "\nhint: the last save stays as it is") {
		t.Errorf("%+v", r)
	}
	if now, err := os.ReadFile(filepath.Join(home, "dump.json")); err != nil || !bytes.Equal(now, dump) {
		t.Errorf("the last save is %q, %v", now, err)
	}
	s.release("two")
	s.require(0, "reloaded site", "reload", "site")
	s.requireRelease("two")
	s.require(0, "scaled site to 3", "scale", "site", "3")
	poll(t, "news of the scale", func() bool { return s.record("site").Scaled == "3" || s.entry("site").Unwritten != "" })
	killAndAwait(t, s.entry("site").PID)
	s.require(0, "site", "start", "site")
	s.requireOnlyLostIn(nil, seen()...)
	fill(t, home) // the master that was killed has left room
	s.require(0, "scaled sleeper to 2", "scale", "sleeper", "2")
	poll(t, "failure to write down", func() bool { return s.entry("sleeper").Unwritten != "" })
	if r := s.require(0, "sleeper runs already", "start", "sleeper"); !strings.Contains(r.stderr, "muster: warning: sleeper is not written down") {
		t.Errorf("%+v", r)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	poll(t, "end of what is not written down", func() bool { return s.entry("sleeper").Unwritten == "" && s.entry("site").Unwritten == "" })
	s.crashAll("site", "sleeper") // only what is written down is known after this
	s.require(0, ": 2 workers", "start", "sleeper")
	s.require(0, ": 3 workers", "start", "site")
}

// TestAReadOnlyHome: no command waits, each says what cannot be written and what to do about it, and nothing is left running.
func TestAReadOnlyHome(t *testing.T) {
	t.Parallel()
	if !inSpace(t) {
		return
	}
	home := disk(t, "1m")
	s := &site{t: t, dir: testutil.TempDir(t), home: home}
	testutil.Sweep(t, "MUSTER_HOME="+home)
	if err := unix.Mount("", home, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"start -- sleep 1000", "run -- sleep 1000", "daemon", "save", "resurrect"} {
		r := s.require(1, "read-only file system\nhint: ", strings.Fields(command)...)
		if !strings.Contains(r.stderr, "set MUSTER_HOME to a folder") {
			t.Errorf("%s: %s", command, r.stderr)
		}
		if lines := strings.Count(r.stderr, "\n"); lines != 2 {
			t.Errorf("%s says %d lines: %s", command, lines, r.stderr)
		}
	}
	s.require(0, "there is no app", "list")
}

// TestALongHome: a home whose paths are too long for unix sockets has them elsewhere, and they go with what they belong to.
func TestALongHome(t *testing.T) {
	t.Parallel()
	base := testutil.TempDir(t)
	home := filepath.Join(base, strings.Repeat("long/", (200-len(base))/5))
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	s := keptAt(t, home)
	s.startApp()
	s.requireRelease("one")
	socket := s.entry("site").Socket
	if strings.HasPrefix(socket, home) {
		t.Errorf("the socket is %s", socket)
	}
	before := s.entry("site")
	killAndAwait(t, before.PID)
	s.require(0, "site", "start", "site")
	s.killDaemon()
	now := s.entry("site")
	if now.App == nil || workerPIDs(now.App) != workerPIDs(before.App) {
		t.Errorf("workers were %+v and are %+v", before.App, now.App)
	}
	s.release("two")
	s.require(0, "reloaded site", "reload", "site")
	s.requireRelease("two")
	s.require(0, "saved 1 app", "save")
	s.require(0, "with it 1 app", "daemon", "stop")
	for _, path := range []string{socket, now.Socket} {
		if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", filepath.Dir(path), err)
		}
	}
	s.require(0, "started 1 app: site", "resurrect")
}

// TestAHomeOfSeveralFileSystems: nothing is moved from one to another, as by a rename.
func TestAHomeOfSeveralFileSystems(t *testing.T) {
	t.Parallel()
	if !inSpace(t) {
		return
	}
	home, apps, logs := disk(t, "1m"), disk(t, "1m"), disk(t, "1m")
	for name, target := range map[string]string{"apps": apps, "logs": logs} {
		if err := os.Symlink(target, filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := keptAt(t, home)
	s.startApp()
	s.require(0, "saved 1 app", "save")
	s.killDaemon()
	s.require(0, "reloaded site", "reload", "site")
	s.require(0, "stopped site", "stop", "site")
	s.require(0, "started 1 app: site", "resurrect")
	s.require(0, "serving", "logs", "site")
	for _, dir := range []string{home, apps} {
		if left, _ := filepath.Glob(filepath.Join(dir, ".*json*")); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	}
}

// nobodyID is a user of few rights.
const nobodyID = 65534

// asNobody runs muster as another user, whose home and whose folder of what runs are dir.
func (s *site) asNobody(dir string, args ...string) result {
	s.t.Helper()
	cmd := exec.CommandContext(s.ctx, testutil.Muster(s.t), args...)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + os.TempDir()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobodyID, Gid: nobodyID}}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // its code tells
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// TestTwoUsersAtOnce: neither sees, commands or disturbs the other's apps, though these have the same names.
func TestTwoUsersAtOnce(t *testing.T) {
	t.Parallel()
	if !inSpace(t) {
		return
	}
	tmp := openDir(t) // the /tmp of both
	if err := os.Chmod(tmp, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	s := kept(t)
	if err := os.Setenv("TMPDIR", tmp); err != nil { // this process runs no other test
		t.Fatal(err)
	}
	dir := filepath.Join(tmp, "home")
	if err := errorsOf(os.Mkdir(dir, 0o755), os.Chown(dir, nobodyID, nobodyID)); err != nil {
		t.Fatal(err)
	}
	must := func(code int, text string, r result) result {
		t.Helper()
		if r.code != code || !strings.Contains(r.stdout+r.stderr, text) {
			t.Fatalf("exit code %d, want %d and %q\n%s%s", r.code, code, text, r.stdout, r.stderr)
		}
		return r
	}
	t.Cleanup(func() {
		s.ctx = context.Background() // the test's has ended
		must(0, "", s.asNobody(dir, "daemon", "stop"))
	})

	// Somebody else has taken the place.
	squat := filepath.Join(tmp, fmt.Sprint("muster-", nobodyID))
	if err := os.Mkdir(squat, 0o777); err != nil {
		t.Fatal(err)
	}
	must(1, squat+" belongs to user 0, not to user 65534\nhint: set MUSTER_HOME", s.asNobody(dir, "start", "--name", "same", "--", "sleep", "1000"))
	if err := os.Remove(squat); err != nil {
		t.Fatal(err)
	}

	s.require(0, "started same", "start", "--name", "same", "--", "sleep", "1000")
	must(0, "started same", s.asNobody(dir, "start", "--name", "same", "--", "sleep", "1000"))
	must(0, "started mine", s.asNobody(dir, "start", "--name", "mine", "--", "sleep", "1000"))
	if r := s.command("list", "--quiet"); r.stdout != "same\n" {
		t.Errorf("root sees %q", r.stdout)
	}
	if r := s.asNobody(dir, "list", "--quiet"); r.stdout != "mine\nsame\n" && r.stdout != "same\nmine\n" {
		t.Errorf("nobody sees %q", r.stdout)
	}
	ours := s.entry("same")
	must(0, "stopped", s.asNobody(dir, "stop", "all"))
	must(0, "deleted", s.asNobody(dir, "delete", "mine"))
	if e := s.entry("same"); e.PID != ours.PID || e.State != api.EntryRunning || e.App.Serving != 1 {
		t.Errorf("%+v", e)
	}
	must(0, "started same", s.asNobody(dir, "start", "same"))

	// A home that is another's is refused, from either side, and stays as it is.
	other := &site{t: t, ctx: s.ctx, dir: s.dir, home: filepath.Join(dir, ".local", "state", "muster")}
	other.require(1, "belongs to user 65534, not to user 0\nhint: set MUSTER_HOME", "start", "--name", "x", "--", "sleep", "1000")
	cmd := exec.CommandContext(s.ctx, testutil.Muster(t), "start", "--name", "x", "--", "sleep", "1000")
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "MUSTER_HOME=" + s.home}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobodyID, Gid: nobodyID}}
	out, _ := cmd.CombinedOutput() // its text tells
	if cmd.ProcessState.ExitCode() != 1 || !bytes.Contains(out, []byte("permission denied")) || !bytes.Contains(out, []byte("hint: set MUSTER_HOME")) {
		t.Errorf("%v: %s", cmd.ProcessState, out)
	}
	s.require(0, "stopped same", "stop", "all")
	if r := s.asNobody(dir, "list"); !strings.Contains(r.stdout, "serving") {
		t.Errorf("%+v", r)
	}
}

func errorsOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// anotherBoot makes it look as if the machine had been started anew: every process is gone, and their numbers are others' by now.
func (s *site) anotherBoot(number int, names ...string) {
	s.t.Helper()
	for _, name := range names {
		path := filepath.Join(s.home, "apps", name+".json")
		text, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		boot := s.record(name).Boot
		if boot == "" {
			s.t.Fatalf("%s does not say in which boot it ran: %s", name, text)
		}
		s.overwrite(path, strings.ReplaceAll(string(text), boot, "00000000-0000-0000-0000-000000000000"))
	}
	left, _ := filepath.Glob(filepath.Join(s.home, "run", "*", "master.json"))
	more, _ := filepath.Glob(filepath.Join(s.home, "run", ".daemon", "master.json"))
	for _, path := range append(left, more...) {
		text, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		var info map[string]any
		if err := json.Unmarshal(text, &info); err != nil {
			s.t.Fatal(err)
		}
		info["pid"] = number
		if text, err = json.Marshal(info); err != nil {
			s.t.Fatal(err)
		}
		s.overwrite(path, string(text))
	}
}

func (s *site) overwrite(path, text string) {
	s.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// crashAll kills daemon, masters and workers, as a machine that loses its power does.
func (s *site) crashAll(names ...string) {
	s.t.Helper()
	var all []int
	for _, name := range names {
		e := s.entry(name)
		all = append(all, e.PID)
		if e.App == nil {
			continue
		}
		for _, slot := range e.App.Slots {
			for _, w := range slot.Workers {
				all = append(all, w.PID)
			}
		}
	}
	s.killDaemon()
	for _, pid := range all {
		if pid != 0 {
			killAndAwait(s.t, pid)
		}
	}
}

// TestAfterAnotherBoot: what an earlier boot has left means nothing, a process that has its number by now is let be, and resurrect starts what was
// saved; a daemon that is started again in the same boot starts nothing twice.
func TestAfterAnotherBoot(t *testing.T) {
	t.Parallel()
	s := kept(t)
	s.startApp()
	s.require(0, "started sleeper", "start", "--name", "sleeper", "--", "sleep", "1000")
	s.require(0, "started idle", "start", "--name", "idle", "--", "sleep", "1000")
	s.require(0, "stopped idle", "stop", "idle")
	s.require(0, "saved 2 apps", "save")
	stranger := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stranger.Process.Kill()
		if err := stranger.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("the stranger ended: %v", err)
		}
	}()
	s.crashAll("site", "sleeper")
	s.anotherBoot(stranger.Process.Pid, "site", "sleeper", "idle")

	// Without --resurrect nothing starts by itself, and it is told why.
	e := s.entry("site")
	if e.State != api.EntryStopped || e.Why != "the machine was started anew" || !strings.Contains(e.Hint, "muster resurrect") || e.PID != 0 {
		t.Errorf("%+v", e)
	}
	s.require(0, "started 2 apps", "resurrect")
	s.require(0, "site runs already, as it should: 2 workers", "start", "site")
	s.requireRelease("one")
	if e := s.entry("idle"); e.State != api.EntryStopped {
		t.Errorf("%+v", e)
	}

	// Once more, by the daemon itself.
	s.crashAll("site", "sleeper")
	s.anotherBoot(stranger.Process.Pid, "site", "sleeper", "idle")
	daemon := s.resurrecting()
	daemon.WaitLine("resurrected.*apps=.*site")
	s.require(0, "site runs already, as it should: 2 workers", "start", "site")
	before := s.entry("site")

	// Killed in the same boot, the next one takes up what runs; what was stopped since the save stays stopped.
	s.require(0, "stopped sleeper", "stop", "sleeper")
	s.killDaemon()
	daemon.WaitExit()
	daemon = s.resurrecting()
	daemon.WaitLine("master found.*app=site")
	daemon.WaitLine("daemon serves")
	if now := s.entry("site"); now.PID != before.PID || workerPIDs(now.App) != workerPIDs(before.App) {
		t.Errorf("%+v was %+v", now, before)
	}
	if e := s.entry("sleeper"); e.State != api.EntryStopped {
		t.Errorf("%+v", e)
	}
	s.require(1, "a daemon runs already", "daemon", "--resurrect")
	s.require(0, "with it", "daemon", "stop")
	daemon.WaitExit()
}

// resurrecting is a daemon as a boot starts it. Its masters outlive it.
func (s *site) resurrecting() *testutil.Running {
	s.t.Helper()
	r := testutil.Start(s.t, testutil.Command{Args: []string{"daemon", "--resurrect"}, Dir: s.dir, Env: []string{"MUSTER_HOME=" + s.home}})
	r.LeaveSurvivors()
	return r
}

// TestADamagedSave is told with its line, is not touched by who reads it, and is put aside by the next save.
func TestADamagedSave(t *testing.T) {
	t.Parallel()
	s := kept(t)
	s.require(0, "started a", "start", "--name", "a", "--", "sleep", "1000")
	s.require(0, "saved 1 app", "save")
	path := filepath.Join(s.home, "dump.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	half := text[:bytes.IndexByte(text, ':')]
	s.overwrite(path, string(half))
	s.require(0, "stopped a", "stop", "a")
	r := s.require(1, "muster: resurrect: read "+path+":2: unexpected end of JSON input\nhint: the file stays as it is", "resurrect")
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, half) {
		t.Errorf("%q, %v after %+v", now, err, r)
	}
	s.require(0, "started a", "start", "a")
	s.require(0, "saved 1 app", "save")
	if now, err := os.ReadFile(path + ".unreadable"); err != nil || !bytes.Equal(now, half) {
		t.Errorf("%q, %v", now, err)
	}
	s.require(0, "these run already: a", "resurrect")
}

// TestADamagedRecord: the master that runs tells the next daemon what was in the file; where none runs the app is there, and says what happened.
func TestADamagedRecord(t *testing.T) {
	t.Parallel()
	s := kept(t)
	if r := s.startApp("--env", "API_TOKEN=not-to-be-masked-in-there"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	s.require(0, "started gone", "start", "--name", "gone", "--", "sleep", "1000")
	s.require(0, "stopped gone", "stop", "gone")
	before := s.entry("site")
	seen := s.crowd()
	s.killDaemon()
	for _, name := range []string{"site", "gone"} {
		s.overwrite(filepath.Join(s.home, "apps", name+".json"), "{\n\"version\": 1, \x00")
	}
	e := s.entry("site")
	if e.PID != before.PID || e.State != api.EntryRunning || workerPIDs(e.App) != workerPIDs(before.App) {
		t.Errorf("%+v was %+v", e, before)
	}
	s.requireOnlyLostIn(nil, seen()...)
	s.require(0, "stopped site", "stop", "site")
	s.require(0, "started site: 2 workers on "+s.addr, "start", "site")
	s.requireRelease("one")
	s.require(0, "API_TOKEN=not-to-be-masked-in-there", "env", "site", "--reveal")

	r := s.require(1, "gone.json:2: invalid character '\\x00'", "start", "gone")
	if !strings.Contains(r.stderr, "hint: start it as it was started first") {
		t.Errorf("%+v", r)
	}
	if e := s.entry("gone"); e.State != api.EntryFailed {
		t.Errorf("%+v", e)
	}
	s.require(0, "started gone", "start", "--name", "gone", "--", "sleep", "1000")
	s.killDaemon()
	if e := s.entry("gone"); e.State != api.EntryRunning || e.ID == s.entry("site").ID {
		t.Errorf("%+v", e)
	}
}
