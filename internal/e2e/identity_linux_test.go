package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// somebody is a user that has no entry anywhere.
const somebody = "54321"

// openDir is a folder that every user may go through.
func openDir(t testing.TB) string {
	t.Helper()
	dir := testutil.TempDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// lowAddress is one that only root may bind.
func lowAddress() string {
	return fmt.Sprintf("127.%d.%d.%d:80", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}

// answer is the body of a page.
func answer(t testing.TB, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// fresh is a client with a connection for each request.
func fresh() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

const whoAmI = `
import os
def app(environ, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [("%d %d %s" % (os.getuid(), os.getgid(), os.environ["HOME"])).encode()]
`

// TestAServerOfAnotherUserOnALowPort: the master binds as root, the workers are nobody, and live through an upgrade and a reload.
func TestAServerOfAnotherUserOnALowPort(t *testing.T) {
	t.Parallel()
	needRoot(t)
	gunicorn := testutil.Need(t, "gunicorn")
	dir, address := openDir(t), lowAddress()
	writeFile(t, filepath.Join(dir, "who.py"), whoAmI)
	r := testutil.Start(t, testutil.Command{Args: []string{
		"run", "-i", "2", "-l", address, "--user", somebody, "--group", somebody, "--cwd", dir, "--log-dir", filepath.Join(dir, "logs"),
		"--", gunicorn, "--worker-tmp-dir", "/dev/shm", "who:app",
	}, Env: []string{"PYTHONDONTWRITEBYTECODE=1"}})
	want := somebody + " " + somebody + " /"
	check := func() {
		t.Helper()
		for range 4 {
			if got := answer(t, fresh(), "http://"+address); got != want {
				t.Fatalf("answered by %q, want %q", got, want)
			}
		}
	}
	r.WaitLine("serving workers=2")
	check()
	mark := r.Mark()
	r.Signal(syscall.SIGUSR2)
	r.WaitLines(mark, 1, "master goes on")
	check()
	r.Signal(syscall.SIGHUP)
	r.WaitLines(mark, 1, "reloaded")
	check()
	r.Stop()
	logs, err := filepath.Glob(filepath.Join(dir, "logs", "*"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs %v, %v", logs, err)
	}
	for _, path := range logs {
		info, err := os.Stat(path)
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("%s is not root's: %v", path, err)
		}
	}
}

// TestANodeClusterOfAnotherUser: channel, notify socket and rescue do not mind the user, nor does a successor of the master.
func TestANodeClusterOfAnotherUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := openDir(t)
	writeFile(t, filepath.Join(dir, "server.js"), `
require('http').createServer((req, res) => res.end(process.getuid() + ' ' + process.pid)).listen(process.env.PORT)
process.stdout.write('notify ' + require('fs').statSync(process.env.NOTIFY_SOCKET).uid + '\n')
`)
	r := testutil.Start(t, testutil.Command{Args: []string{
		"run", "-i", "2", "-l", "127.0.0.1:0", "--user", somebody, "--group", somebody, "--spares", "1", "--cpu-affinity", "spread",
		"--", testutil.AnyNode(t), filepath.Join(dir, "server.js"),
	}})
	r.WaitLine("notify " + somebody)
	r.WaitLine("serving workers=2")
	url := "http://127.0.0.1:" + r.WaitLine(`listen=.*:(\d+)`)[1]
	if got := answer(t, fresh(), url); !strings.HasPrefix(got, somebody+" ") {
		t.Errorf("answered by %q", got)
	}
	mark := r.Mark()
	r.Signal(syscall.SIGUSR2)
	r.WaitLines(mark, 1, "master goes on")
	for range 4 {
		answer(t, fresh(), url)
	}
	r.Stop()
}

// TestAUnixSocketForAProxy has the mode and the group that the app says, for a program whose workers are of yet another user.
func TestAUnixSocketForAProxy(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := openDir(t)
	path := filepath.Join(dir, "app.sock")
	r := testutil.Start(t, testutil.Command{Args: []string{
		"run", "-i", "1", "-l", "unix:" + path, "--handoff", "inherit", "--ready", "start", "--user", somebody, "--group", somebody,
		"--listen-mode", "660", "--listen-owner", "4444", "--listen-group", "4445", "--", "sleep", "1000",
	}})
	r.WaitLine("serving workers=1")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	if st.Uid != 4444 || st.Gid != 4445 || info.Mode().Perm() != 0o660 {
		t.Errorf("%d:%d %o", st.Uid, st.Gid, info.Mode().Perm())
	}
	for gid, want := range map[uint32]bool{4445: true, 4446: false} {
		_, err := connectAs(t, path, 4447, gid)
		if (err == nil) != want {
			t.Errorf("group %d: %v", gid, err)
		}
	}
	r.Stop()
}

// connectAs tries a unix socket as another user.
func connectAs(t testing.TB, path string, uid, gid uint32) (string, error) {
	t.Helper()
	script := fmt.Sprintf("import socket; socket.socket(socket.AF_UNIX).connect(%q)", path)
	cmd := shellCommand(t, "/usr/bin/python3", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestWithoutPtraceASilentServerIsReady: root of a container may not look into the processes of other users.
func TestWithoutPtraceASilentServerIsReady(t *testing.T) {
	t.Parallel()
	needRoot(t)
	gunicorn, setpriv := testutil.Need(t, "gunicorn"), testutil.Need(t, "setpriv")
	dir := openDir(t)
	writeFile(t, filepath.Join(dir, "who.py"), whoAmI)
	r := testutil.Start(t, testutil.Command{Path: setpriv, Args: []string{
		"--bounding-set", "-sys_ptrace", testutil.Muster(t),
		"run", "-i", "2", "-l", "127.0.0.1:0", "--user", somebody, "--group", somebody, "--cwd", dir, "--", gunicorn, "--worker-tmp-dir", "/dev/shm", "who:app",
	}, Env: []string{"PYTHONDONTWRITEBYTECODE=1"}})
	r.WaitLine("serving workers=2")
	r.Stop()
}

// limitsOf is what a worker says of itself, see reportingScript.
type limitsOf struct {
	UID    int
	Umask  int
	Nice   int
	CPUs   []int
	NoFile [2]int
	OOM    int
	Privs  string
}

const reportingScript = `
import json, os, resource, signal
u = os.umask(0)
priv = [l.split()[1] for l in open("/proc/self/status") if l.startswith("NoNewPrivs")][0]
print("report", json.dumps(dict(UID=os.getuid(), Umask=u, Nice=os.nice(0), CPUs=sorted(os.sched_getaffinity(0)),
    NoFile=resource.getrlimit(resource.RLIMIT_NOFILE), OOM=int(open("/proc/self/oom_score_adj").read()), Privs=priv)), flush=True)
signal.pause()
`

// TestAWorkerHasItsLimits as root and as an ordinary user.
func TestAWorkerHasItsLimits(t *testing.T) {
	t.Parallel()
	for name, attr := range map[string]*syscall.SysProcAttr{
		"root":     {Setpgid: true},
		"ordinary": {Setpgid: true, Credential: &syscall.Credential{Uid: 54321, Gid: 54321}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if attr.Credential != nil {
				needRoot(t)
			}
			dir := openDir(t)
			home := filepath.Join(dir, "home")
			if err := os.Mkdir(home, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(home, 0o777); err != nil {
				t.Fatal(err)
			}
			bin := filepath.Join(dir, "muster") // where it was built, other users may not go
			if err := os.Link(testutil.Muster(t), bin); err != nil {
				copyProgram(t, testutil.Muster(t), bin)
			}
			r := testutil.Start(t, testutil.Command{Path: bin, Attr: attr, Dir: dir, Env: []string{"MUSTER_HOME=" + home}, Args: []string{
				"run", "-i", "1", "--handoff", "none", "--umask", "027", "--nice", "7", "--cpus", "0", "--limits", "nofile=100:200", "--limits", "core=0",
				"--oom-score-adj", "500", "--no-new-privs", "--", "/usr/bin/python3", "-c", reportingScript,
			}})
			var got limitsOf
			if err := json.Unmarshal([]byte(r.WaitLine(`report (\{.*)`)[1]), &got); err != nil {
				t.Fatal(err)
			}
			want := limitsOf{UID: got.UID, Umask: 0o27, Nice: 7, CPUs: []int{0}, NoFile: [2]int{100, 200}, OOM: 500, Privs: "1"}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			r.Stop()
		})
	}
}

// TestOnlyRootMayChooseTheUser before anything starts.
func TestOnlyRootMayChooseTheUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := openDir(t)
	bin := filepath.Join(dir, "muster")
	copyProgram(t, testutil.Muster(t), bin)
	r := testutil.Start(t, testutil.Command{
		Path: bin, Dir: dir, Attr: &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: 54321, Gid: 54321}},
		Args: []string{"run", "--user", "daemon", "--", "sleep", "1000"},
	})
	r.WaitLine(`--user "daemon": only root can start workers as somebody else, and this is user 54321`)
	r.WaitLine("hint: start muster as root")
	if code := r.WaitExit().ExitCode(); code == 0 {
		t.Error("it exited with 0")
	}
}

func shellCommand(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), name, args...)
}
