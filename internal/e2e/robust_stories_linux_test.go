package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestRunStories runs the stories of `muster run` with the real binary. Beside testscript's own commands they have
//
//	exits CODE PROGRAM [ARGUMENT...]     runs it and compares its exit code
//	refuses CODE PROGRAM [ARGUMENT...]   also requires that it wrote one line on what is wrong and a hint, and left nothing
//
// and in the environment PORT_IN_USE, a port that process OWNER listens on, and LONG, a name that is too long for a socket.
func TestRunStories(t *testing.T) {
	t.Parallel()
	muster := testutil.Muster(t)
	testscript.Run(t, testscript.Params{
		Files:               stories(t, "run_*.txtar"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return setUpStory(env, muster) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   func(ts *testscript.TestScript, _ bool, args []string) { exits(ts, args) },
			"refuses": func(ts *testscript.TestScript, _ bool, args []string) { refuses(ts, args) },
		},
	})
}

func stories(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../testdata/script", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	return files
}

// storyVariable marks what comes from a story.
const storyVariable = "E2E_STORY"

func setUpStory(env *testscript.Env, muster string) error {
	bin := filepath.Join(env.WorkDir, ".bin")
	if err := errors.Join(os.Mkdir(bin, 0o755), os.Symlink(muster, filepath.Join(bin, "muster"))); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = l.Close() })
	env.Setenv("PATH", bin+":"+env.Getenv("PATH"))
	env.Setenv("MUSTER_HOME", filepath.Join(env.WorkDir, ".home"))
	env.Setenv("PORT_IN_USE", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	env.Setenv("OWNER", strconv.Itoa(os.Getpid()))
	env.Setenv("LONG", strings.Repeat("x", 108))
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	env.Setenv(storyVariable, env.WorkDir)
	return nil
}

func exits(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT...]")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
	if left := withVariable(storyVariable + "=" + ts.Getenv(storyVariable)); len(left) > 0 {
		ts.Fatalf("processes are left: %v", left)
	}
	entries, err := os.ReadDir(filepath.Join(ts.Getenv("MUSTER_HOME"), "run"))
	if len(entries) > 0 {
		ts.Fatalf("files are left: %v", entries)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		ts.Check(err)
	}
}

func refuses(ts *testscript.TestScript, args []string) {
	exits(ts, args)
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("stdout is not empty")
	}
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stderr"), "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "muster: ") || !strings.HasPrefix(lines[1], "hint: ") {
		ts.Fatalf("not one error and one hint: %q", lines)
	}
}

// withVariable finds the living processes that were started with this entry in their environment.
func withVariable(entry string) []string {
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, file := range files {
		env, err := os.ReadFile(file)
		if err == nil && bytes.Contains(append([]byte{0}, env...), []byte("\x00"+entry+"\x00")) {
			found = append(found, fmt.Sprint(filepath.Base(filepath.Dir(file))))
		}
	}
	return found
}

// unprivileged starts muster as a user that owns nothing, in a network of its own in which ports begin as the kernel has them.
func unprivileged(t *testing.T, args ...string) *testutil.Running {
	t.Helper()
	needRoot(t)
	dir := testutil.TempDir(t)
	muster := filepath.Join(dir, "muster")
	copyProgram(t, testutil.Muster(t), muster)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return testutil.Start(t, testutil.Command{
		Path: muster, Args: append([]string{"run"}, args...), Dir: dir, Env: []string{"MUSTER_HOME=" + filepath.Join(dir, "home")},
		Attr: &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWNET, Credential: &syscall.Credential{Uid: 65534, Gid: 65534}},
	})
}

// TestRightsThatAreMissing: what this user may not do is told with what can be done instead.
func TestRightsThatAreMissing(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(testutil.TempDir(t), "secret.env")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(secret), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name        string
		args        []string
		told, hints string
		code        int
	}{
		{"port", []string{"-l", "127.0.0.1:80"}, `\(.*127.0.0.1:80\): permission denied`, "ports below 1024 need CAP_NET_BIND_SERVICE", 1},
		{"socket path", []string{"-l", "unix:/etc/x.sock"}, "permission denied", "choose a path in a directory that you may write to", 1},
		{"env file", []string{"--env-file", secret}, `--env-file ".*secret.env": permission denied`, "chown or chmod", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := unprivileged(t, append(tt.args, "--", "sleep", "1000")...)
			r.WaitLine("^muster: .*" + tt.told)
			r.WaitLine("^hint: .*" + tt.hints)
			if code := r.WaitExit().ExitCode(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if n := strings.Count(r.Output(), "\n"); n != 1 {
				t.Errorf("%d lines, want 2", n+1)
			}
		})
	}
}
