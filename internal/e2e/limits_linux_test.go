package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// identity is who muster runs as in a test, with a folder that this user may use.
type identity struct {
	t    testing.TB
	dir  string
	path string // of a muster that the user may execute
	attr *syscall.SysProcAttr
	home string
}

// asUser is muster of a user; 0 is root.
func asUser(t testing.TB, uid uint32) identity {
	t.Helper()
	id := identity{t: t, dir: openDir(t), attr: &syscall.SysProcAttr{Setpgid: true}}
	if uid != 0 {
		needRoot(t)
		id.attr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
	id.path, id.home = filepath.Join(id.dir, "muster"), filepath.Join(id.dir, "home")
	copyProgram(t, testutil.Muster(t), id.path) // where it was built, other users may not go
	if err := os.Mkdir(id.home, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(id.home, int(uid), int(uid)); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

// run starts muster run with these arguments.
func (id identity) run(args ...string) *testutil.Running {
	id.t.Helper()
	return testutil.Start(id.t, testutil.Command{
		Path: id.path, Dir: id.home, Attr: id.attr, Env: []string{"MUSTER_HOME=" + id.home}, Args: append([]string{"run"}, args...),
	})
}

// bothUsers runs a test as root and as somebody who is not.
func bothUsers(t *testing.T, uid uint32, test func(t *testing.T, id identity)) {
	t.Helper()
	t.Run("root", func(t *testing.T) {
		t.Parallel()
		needRoot(t)
		test(t, asUser(t, 0))
	})
	t.Run("ordinary", func(t *testing.T) {
		t.Parallel()
		test(t, asUser(t, uid))
	})
}

// python runs a worker that does what the script says, and then nothing.
func python(script string) []string {
	return []string{"-i", "1", "--handoff", "none", "--", "/usr/bin/python3", "-u", "-c", script + "\nimport signal\nsignal.pause()"}
}

// TestAWorkerRunsIntoItsLimits: each program does what its limit forbids, and says or shows how that ended.
func TestAWorkerRunsIntoItsLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		flags        []string
		script       string
		told         string
		ordinaryOnly bool // it does not bind root
	}{
		{
			name: "nofile", flags: []string{"--limits", "nofile=32"}, told: "stopped by Too many open files at 32$",
			script: "import os\ntry:\n  while True: n = os.dup(0)\nexcept OSError as e: print('stopped by', e.strerror, 'at', n + 1)",
		},
		{
			name: "fsize", flags: []string{"--limits", "fsize=64K"}, told: "stopped by File too large at 65536$",
			script: "import os\nfd = os.open('big', os.O_CREAT | os.O_WRONLY)\ntry:\n  while True: os.write(fd, b'x' * 4096)\nexcept OSError as e: print('stopped by', e.strerror, 'at', os.fstat(fd).st_size)",
		},
		{
			name: "as", flags: []string{"--limits", "as=400M"}, told: "stopped by MemoryError$",
			script: "try: bytearray(1 << 30)\nexcept MemoryError as e: print('stopped by MemoryError')",
		},
		{
			name: "data", flags: []string{"--limits", "data=200M"}, told: "stopped by MemoryError$",
			script: "try: bytearray(1 << 30)\nexcept MemoryError as e: print('stopped by MemoryError')",
		},
		{
			name: "cpu", flags: []string{"--limits", "cpu=1:5"}, told: "worker exited.*killed by SIGXCPU",
			script: "while True: pass",
		},
		{
			name: "core", flags: []string{"--limits", "core=0"}, told: `worker exited.*exit="?killed by SIGSEGV"?( |$)`,
			script: "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
		},
		{
			name: "stack", flags: []string{"--limits", "stack=256K"}, told: "stack of 262144$",
			script: "import resource\nprint('stack of', resource.getrlimit(resource.RLIMIT_STACK)[0])",
		},
		{
			name: "nproc", flags: []string{"--limits", "nproc=20"}, told: "stopped by Resource temporarily unavailable$", ordinaryOnly: true,
			script: "import os, time, signal\ntry:\n  while True:\n    if os.fork() == 0:\n      signal.pause()\nexcept OSError as e: print('stopped by', e.strerror)",
		},
		{
			name: "memlock", flags: []string{"--limits", "memlock=0"}, told: "stopped by (12|1)$", ordinaryOnly: true,
			script: "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nc.mlock(ctypes.create_string_buffer(8192), 8192)\nprint('stopped by', ctypes.get_errno())",
		},
		{
			name: "umask", flags: []string{"--umask", "037"}, told: "mode 640$",
			script: "import os\nos.close(os.open('made', os.O_CREAT, 0o666))\nprint('mode %o' % (os.stat('made').st_mode & 0o777))",
		},
		{
			name: "cpus", flags: []string{"--cpus", "0"}, told: `ran on \{0\}$`,
			script: "import os\nseen = set()\nfor i in range(200000):\n  if i % 100 == 0: seen.add(int(open('/proc/self/stat').read().rsplit(')', 1)[1].split()[36]))\nprint('ran on', seen)",
		},
		{
			name: "nice", flags: []string{"--nice", "15"}, told: "cannot be nicer than 14: Permission denied$", ordinaryOnly: true,
			script: "import os\ntry: os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) - 1)\nexcept OSError as e: print('cannot be nicer than', os.getpriority(os.PRIO_PROCESS, 0) - 1, end=': '); print(e.strerror)",
		},
		{
			name: "oom_score_adj", flags: []string{"--oom-score-adj", "700"}, told: "killed sooner by 700$",
			script: "print('killed sooner by', open('/proc/self/oom_score_adj').read())",
		},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			uid := uint32(os.Getpid()<<5 + i) // its processes are counted by user
			test := func(t *testing.T, id identity) {
				id.t = t
				r := id.run(append(tt.flags, python(tt.script)...)...)
				r.WaitLine(tt.told)
				r.Stop()
			}
			if tt.ordinaryOnly {
				test(t, asUser(t, uid))
				return
			}
			bothUsers(t, uid, test)
		})
	}
}

// TestNoNewPrivs: a program that belongs to root, with the bit that makes whoever runs it root, does so no more.
func TestNoNewPrivs(t *testing.T) {
	t.Parallel()
	const uid = 54321
	for flag, told := range map[string]string{"--no-new-privs=false": "uid 0$", "--no-new-privs": "uid " + strconv.Itoa(uid) + "$"} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			id := asUser(t, uid)
			program := filepath.Join(id.dir, "id")
			copyProgram(t, testutil.Need(t, "id"), program)
			if err := os.Chmod(program, 0o755|os.ModeSetuid); err != nil {
				t.Fatal(err)
			}
			r := id.run("-i", "1", "--handoff", "none", flag, "--", "/bin/sh", "-c", "echo uid $("+program+" -u); sleep 1000")
			r.WaitLine(told)
			r.Stop()
		})
	}
}

// TestARefusedFavourIsNamed: what the system does not grant is told once, with its name, and the worker runs without it.
func TestARefusedFavourIsNamed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		flags []string
		told  string
	}{
		{"limit", []string{"--limits", "nofile=100:9999999999"}, `set limit nofile to 9999999999: operation not permitted: it is \d+, as for muster itself`},
		{"nice", []string{"--nice", "-5"}, `set niceness -5: permission denied`},
		{"oom_score_adj", []string{"--oom-score-adj", "-500"}, `set oom_score_adj -500: .*permission denied`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := asUser(t, 54321).run(append(tt.flags, "-i", "2", "--handoff", "none", "--", "sleep", "1000")...)
			r.WaitLine(`warning: workers do not get all they were to have.*` + tt.told)
			r.WaitLine("serving workers=2")
			r.Stop()
			if n := strings.Count(r.Output(), "do not get all"); n != 1 {
				t.Errorf("told %d times, want once:\n%s", n, r.Output())
			}
		})
	}
}
