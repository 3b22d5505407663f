package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/musterd/muster/internal/testutil"
)

// unifiedInit makes the root of a machine, see [machine], in a Linux of its own, and becomes its systemd.
const unifiedInit = `#!/bin/sh
export PATH=/usr/bin:/bin:/usr/sbin:/sbin
cd ROOT
mount --bind ROOT ROOT
cd ROOT
mount --bind /usr usr
mount -o remount,bind,ro usr
mount --bind local usr/local
mkdir -p proc sys run tmp dev
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mount -t tmpfs -o uid=1000,gid=1000,mode=755 tmpfs home/ann
for d in null zero full random urandom tty console; do touch dev/$d; mount --bind /dev/$d dev/$d; done
mkdir -p dev/shm
mount -t tmpfs -o mode=1777 tmpfs dev/shm
exec chroot . /usr/bin/env -i container=uml TERM=dumb PATH=/usr/local/bin:/usr/bin:/usr/sbin /lib/systemd/systemd --log-target=null --show-status=no
`

// unifiedStory is what is done in the machine.
const unifiedStory = `#!/bin/sh
export HOME=/root
say() { echo "== $1"; shift; "$@" 2>&1; echo "== ended with $?"; }
eaten() { for i in $(seq 50); do "$@" muster explain eater | grep 'out of memory' && return; done; "$@" muster explain eater; }
start="muster start --name eater --handoff none --ready notify --timeout 60s --worker-limits memory=40M --worker-limits cpu=0.9 --app-limits tasks=100 --limits-required -- python3 /srv/eater.py"

say service systemctl start given
say undelegated systemctl start kept

say startup muster startup
systemctl start muster
say start $start
say show muster show eater
kill -USR1 $(muster show -q eater)
say eaten eaten
say stop muster stop eater
say stopped systemctl stop muster
say unstartup muster unstartup

systemctl start user@1000
ann="setpriv --reuid 1000 --regid 1000 --clear-groups env HOME=/home/ann XDG_RUNTIME_DIR=/run/user/1000"
cd /home/ann
say user-startup $ann muster startup
$ann systemctl --user start muster
say user-start $ann $start
say user-show $ann muster show eater
$ann kill -USR1 $($ann muster show -q eater)
say user-eaten eaten $ann
say user-unstartup $ann muster unstartup
$ann muster daemon stop
echo "== everything was run"
`

// TestSystemdDelegatesVersion2 has a real systemd give control groups of version 2 away: to a unit, to the daemon, and to that of a user who is not root.
func TestSystemdDelegatesVersion2(t *testing.T) {
	t.Parallel()
	needRoot(t)
	testutil.Need(t, "systemctl")
	m := &machine{t: t, root: testutil.TempDir(t)}
	m.furnish()
	if err := os.Remove(filepath.Join(m.root, "etc/systemd/system/multi-user.target.wants/agent.service")); err != nil {
		t.Fatal(err)
	}
	m.write("srv/eater.py", eater)
	m.write("srv/hog.py", hogScript)
	for name, delegate := range map[string]string{"given": "yes", "kept": "no"} {
		program := map[string]string{"yes": "python3 /srv/hog.py", "no": "true"}[delegate]
		m.write("etc/systemd/system/"+name+".service", "[Service]\nType=oneshot\nDelegate="+delegate+"\nStandardOutput=tty\nStandardError=tty\nEnvironment=MUSTER_HOME=/run/"+name+
			"\nExecStart=muster run --job --max-restarts 0 --worker-limits memory=40M -- "+program+"\n")
	}
	m.writeMode("story", unifiedStory, 0o755)
	m.write("etc/systemd/system/story.service", "[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\nTimeoutStartSec=infinity\nStandardOutput=tty\nStandardError=tty\n"+
		"ExecStart=/story\nExecStopPost=sh -c 'echo o > /proc/sysrq-trigger'\n")
	m.link("../story.service", "etc/systemd/system/multi-user.target.wants/story.service")
	r := startLinux(t, m.root, unifiedInit)
	for _, part := range []string{"undelegated", "eaten", "user-startup", "user-eaten", "everything was run"} { // each within the time of a test
		r.WaitLine("== " + part)
	}
	r.WaitExit()
	const ofWorker = `out of memory: the limit of the worker is 40M`
	for _, want := range [][2]string{
		{"service", ofWorker}, {"undelegated", "systemd has not delegated the control group"},
		{"startup", "enabled it"}, {"start", "started eater"}, {"show", `memory 40M \(control group, version 2\), cpu 0.9 \(control group, version 2\)`}, {"eaten", ofWorker},
		{"stop", "stopped eater"}, {"stopped", "^"}, {"unstartup", "removed"},
		{"user-startup", "enabled it"}, {"user-start", "started eater"}, {"user-show", `memory 40M \(control group, version 2\)`}, {"user-eaten", ofWorker}, {"user-unstartup", "removed"},
	} {
		requireInPart(t, r.Output(), want[0], want[1])
	}
}
