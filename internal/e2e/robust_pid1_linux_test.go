package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// asPID1 starts muster as the first process of a PID namespace with a /proc of its own. It can do so as root alone.
func asPID1(t *testing.T, role string, args ...string) *robustRun {
	t.Helper()
	needRoot(t)
	th := newTether(t)
	c := robustCommand(t, th, role, args...)
	c.Args = append([]string{"--mount-proc", testutil.Muster(t)}, c.Args...)
	c.Path = testutil.Need(t, "unshare")
	c.Attr = &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWPID} // unshare itself becomes PID 1, and then muster
	return startCommand(t, th, c)
}

// needRoot skips the test for others, and fails it for them in CI.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}

func TestPID1EndsEverythingAndExitsClean(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"plain", "deaf", "family", "stray"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			r := asPID1(t, role, "-i", "2", "--handoff", "none", "--stop-timeout", "300ms")
			r.WaitLine(`master started.* pid=1\b`)
			r.wait(2, "^worker ")
			r.WaitLine("serving")
			r.Signal(syscall.SIGTERM)
			r.requireExit(t, 0)
			r.requireNothingLeft(t, true)
		})
	}
}

// TestPID1ReapsStrangers: orphans become the master's; their ends are nobody's exit, and leave no zombie.
func TestPID1ReapsStrangers(t *testing.T) {
	t.Parallel()
	r := asPID1(t, "orphanage", "-i", "1", "--handoff", "none")
	r.WaitLine("serving")
	r.wait(1, "^worker ") // which has made its orphans
	poll(t, "end of the last zombie", func() bool { return zombiesBelow(t, r.Pid()) == 0 })
	r.Signal(syscall.SIGTERM)
	r.requireExit(t, 0)
	if n := strings.Count(r.Output(), "worker exited"); n != 1 {
		t.Errorf("%d workers exited, want 1", n)
	}
	r.requireNothingLeft(t, true)
}

// zombiesBelow counts the ended children of a process that it has not waited for.
func zombiesBelow(t testing.TB, parent int) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	zombies := 0
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it is gone
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[0] == "Z" && fields[1] == strconv.Itoa(parent) {
			zombies++
		}
	}
	return zombies
}

// TestPID1TellsWorkersExits: the exit of a worker is told as it was, and becomes that of an app that gave up.
func TestPID1TellsWorkersExits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		script, told string
		code         int
	}{
		{"exit 23", "exit status 23", 23},
		{"kill -SEGV $$", "killed by SIGSEGV", 128 + int(syscall.SIGSEGV)},
	}
	for _, tt := range tests {
		t.Run(tt.told, func(t *testing.T) {
			t.Parallel()
			r := asPID1(t, "shell", "-i", "1", "--handoff", "none", "--max-restarts", "0", "--env", "E2E_SCRIPT="+tt.script)
			r.requireExit(t, tt.code)
			if !strings.Contains(r.Output(), tt.told) {
				t.Errorf("nothing of %q was told", tt.told)
			}
			r.requireNothingLeft(t, true)
		})
	}
}

// TestContainer runs muster as the entry point of a container with limits: it uses as many CPUs as it may have, and stops in good order.
func TestContainer(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c := newContainer(t, `{"cpu": {"quota": 50000, "period": 100000}, "memory": {"limit": 134217728}, "pids": {"limit": 64}}`)
	r := testutil.Start(t, testutil.Command{Path: c.runc, Args: []string{"run", "--bundle", c.bundle, c.name}})
	defer c.kill()
	r.WaitLine(`master started.* pid=1\b.* workers=1\b`)
	r.WaitLine("app +| hello from [0-9]+ of 1 in slot 0")
	r.WaitLine("serving")
	r.Signal(syscall.SIGTERM) // runc passes it on
	if code := r.WaitExit().ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// container is a bundle for runc: the system's own files, read-only, and muster.
type container struct {
	runc, name, bundle string
}

func newContainer(t testing.TB, resources string) container {
	t.Helper()
	c := container{runc: testutil.Need(t, "runc"), bundle: testutil.TempDir(t)}
	c.name = filepath.Base(c.bundle)
	for _, dir := range []string{"rootfs/usr", "rootfs/etc", "rootfs/proc", "rootfs/dev", "rootfs/tmp", "rootfs/sys", "rootfs/run"} {
		if err := os.MkdirAll(filepath.Join(c.bundle, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(c.bundle, "rootfs/tmp"), 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"bin", "lib", "lib64", "sbin"} {
		if target, err := os.Readlink("/" + link); err == nil {
			if err := os.Symlink(target, filepath.Join(c.bundle, "rootfs", link)); err != nil {
				t.Fatal(err)
			}
		}
	}
	copyProgram(t, testutil.Muster(t), filepath.Join(c.bundle, "rootfs/muster"))
	if err := os.WriteFile(filepath.Join(c.bundle, "config.json"), []byte(c.config(resources)), 0o644); err != nil {
		t.Fatal(err)
	}
	return c
}

// config is what the runtime is told (OCI runtime specification 1.0). The control group is relative to the test's own.
func (c container) config(resources string) string {
	return `{
  "ociVersion": "1.0.2",
  "root": {"path": "rootfs"},
  "process": {
    "user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/usr/bin:/bin"],
    "args": ["/muster", "run", "--name", "app", "-i", "max", "--handoff", "none", "--",
             "sh", "-c", "trap 'exit 0' TERM; echo hello from $$ of 1 in slot $MUSTER_SLOT; while :; do sleep 1000 & wait; done"]
  },
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "ro"]},
    {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["bind", "ro"]}
  ],
  "linux": {
    "cgroupsPath": "` + c.name + `",
    "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}],
    "resources": ` + resources + `
  }
}`
}

// kill removes the container if it is there.
func (c container) kill() { _ = exec.Command(c.runc, "delete", "--force", c.name).Run() }
