package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// unifiedScript is the first program of a Linux of its own, in which version 2 of control groups has all controllers, as on a machine of
// today. It runs jobs in one place after the other.
const unifiedScript = `#!/bin/sh
export PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root MUSTER_HOME=/run/home PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
mkdir -m 777 /run/home
mkdir /run/home/u
chown 54321 /run/home/u
G=/sys/fs/cgroup
enter() { mkdir -p $G/$1; group=$G/$1; shift; sh -c 'echo 0 > $0/cgroup.procs && exec "$@"' $group "$@"; }
job() { echo "== $1"; shift; "$@"; echo "== ended with $?"; }
run="MUSTER run --job --max-restarts 0 --handoff none"
left() { find $G -name 'muster-*' ! -name muster-own; }

job root $run --worker-limits memory=40M -- python3 FOLDER/hog.py
job all $run --app-limits memory=48M -- python3 FOLDER/hog.py
job child $run --worker-limits memory=40M -- python3 FOLDER/child.py
job tasks $run --worker-limits tasks=20 -- python3 FOLDER/fork.py
job cpu $run --worker-limits cpu=20% -- python3 FOLDER/burn.py

mkdir $G/unit
chown 54321 $G/unit $G/unit/cgroup.procs $G/unit/cgroup.subtree_control
job delegated enter unit setpriv --reuid 54321 --regid 54321 --clear-groups env MUSTER_HOME=/run/home/u $run --worker-limits memory=40M --worker-limits tasks=50 --worker-limits cpu=0.9 -- python3 FOLDER/hog.py
job again enter unit/muster-own setpriv --reuid 54321 --regid 54321 --clear-groups env MUSTER_HOME=/run/home/u $run --worker-limits memory=40M -- python3 FOLDER/hog.py

job namespace enter container unshare --cgroup --mount sh -c 'umount /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "$@"' sh $run --worker-limits memory=40M -- python3 FOLDER/hog.py
job above sh -c 'mkdir /sys/fs/cgroup/small; echo +memory > /sys/fs/cgroup/cgroup.subtree_control; echo 64M > /sys/fs/cgroup/small/memory.max; echo 0 > /sys/fs/cgroup/small/cgroup.procs; exec "$@"' sh $run --worker-limits tasks=50 -- python3 FOLDER/hog.py
job foreign enter other setpriv --reuid 54321 --regid 54321 --clear-groups env MUSTER_HOME=/run/home/u $run --worker-limits memory=40M -- true

mkdir -p /run/systemd/system
job undelegated enter session $run --worker-limits memory=40M -- true
python3 -c "import os; os.mkdir('$G/given'); os.setxattr('$G/given', 'trusted.delegate', b'1')"
job given enter given $run --worker-limits memory=40M -- python3 FOLDER/hog.py
job everywhere $run -- python3 FOLDER/hog.py
mount -o remount,ro $G
job readonly $run --worker-limits memory=40M --limits-required -- true
echo "== left: $(left)"
echo "== everything was run"
echo o > /proc/sysrq-trigger
exec cat
`

// TestControlGroupsOfVersion2 boots a Linux as a process (User Mode Linux), since a machine has its controllers in version 1 or in version 2.
func TestControlGroupsOfVersion2(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	script := unifiedScript
	for name, text := range map[string]string{
		"hog.py":   hogScript,
		"child.py": "import subprocess, sys\nsubprocess.run([sys.executable, '" + dir + "/hog.py'])\nsys.exit(3)",
		"fork.py":  "import os, signal\nn = 1\ntry:\n  while n < 500:\n    if os.fork() == 0: signal.pause()\n    n += 1\nexcept OSError as e: print('stopped by', e.strerror, 'at', n)",
		"burn.py": "import time\nt = time.monotonic()\nwhile time.monotonic() < t + 1: pass\n" +
			"g = open('/proc/self/cgroup').read().strip().split('::')[1]\nprint([l.strip() for l in open('/sys/fs/cgroup' + g + '/cpu.stat') if l.startswith('nr_throttled')])",
	} {
		writeFile(t, filepath.Join(dir, name), text)
	}
	script = strings.NewReplacer("FOLDER", dir, "MUSTER run", testutil.Muster(t)+" run").Replace(script)
	r := startLinux(t, dir, script)
	for _, part := range []string{"delegated", "above", "everything was run"} { // each within the time of a test
		r.WaitLine("== " + part)
	}
	r.WaitExit()
	const ofWorker = `killed by SIGKILL \(out of memory: the limit of the worker is 40M\)`
	for _, want := range [][2]string{
		{"root", ofWorker},
		{"all", `killed by SIGKILL \(out of memory: the limit of all workers together is 48M\)`},
		{"child", `exit status 3 \(the kernel had killed a process of it, out of memory: the limit of the worker is 40M\)`},
		{"tasks", "stopped by Resource temporarily unavailable at 20"},
		{"cpu", `'nr_throttled [1-9]`},
		{"delegated", ofWorker},
		{"again", ofWorker},
		{"namespace", ofWorker},
		{"above", `killed by SIGKILL \(out of memory: the machine has no more, or a control group above\)`},
		{"foreign", "user 54321 may not make control groups in /sys/fs/cgroup/other"},
		{"undelegated", "systemd has not delegated the control group /sys/fs/cgroup/session.*Delegate=yes"},
		{"given", ofWorker},
		{"everywhere", `killed by SIGKILL \(perhaps out of memory: the kernel has just killed a process of this machine for that\)`},
		{"readonly", `"40M": cannot be in force: the control groups are mounted read-only`},
	} {
		requireInPart(t, r.Output(), want[0], want[1])
	}
	r.WaitLine("== left: *$")
}

// startLinux boots a Linux whose first program is a script, which finds itself in the files of the machine. ROOT in it is the folder.
func startLinux(t testing.TB, dir, script string) *testutil.Running {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("there is no Linux that runs as a process for this machine")
	}
	linux, own := testutil.Need(t, "linux.uml"), openDir(t)
	init := filepath.Join(own, "init")
	if err := os.WriteFile(init, []byte(strings.ReplaceAll(script, "ROOT", dir)), 0o755); err != nil {
		t.Fatal(err)
	}
	return testutil.Start(t, testutil.Command{Path: linux, Args: []string{
		"mem=256M", "rootfstype=hostfs", "rootflags=/", "rw", "init=" + init, "con=null", "con0=null,fd:1", "quiet", "uml_dir=" + own, "umid=e2e",
	}})
}

// requireInPart requires a line in the part of the output that begins with "== NAME".
func requireInPart(t testing.TB, output, name, pattern string) {
	t.Helper()
	_, part, found := strings.Cut(output, "== "+name+"\n")
	part, _, _ = strings.Cut(part, "== ended")
	if !found || !regexp.MustCompile(pattern).MatchString(part) {
		t.Errorf("%s: nothing matches %q in\n%s", name, pattern, part)
	}
}
