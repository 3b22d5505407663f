package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/testutil"
)

func init() { roles["boot"] = bootMain }

// bootMain makes the root of a machine and becomes its systemd. It is the first process of its namespaces already, save that of the control
// groups, whose root is where the process is when it makes it.
func bootMain() {
	runtime.LockOSThread() // namespaces are a thread's until the execve
	if err := boot(os.Getenv("E2E_ROOT"), strings.Fields(os.Getenv("E2E_GROUPS"))); err != nil {
		fmt.Fprintln(os.Stderr, "boot:", err)
		os.Exit(1)
	}
}

func boot(root string, groups []string) error {
	for _, group := range groups {
		_, dir, _ := strings.Cut(group, "=")
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Sethostname([]byte("machine")); err != nil {
		return os.NewSyscallError("sethostname", err)
	}
	for _, step := range mounts(root, groups) {
		if err := step.do(); err != nil {
			return fmt.Errorf("mount %s on %s: %w", step.source, step.target, err)
		}
	}
	if err := os.Symlink("pts/ptmx", filepath.Join(root, "dev/ptmx")); err != nil {
		return err
	}
	if err := enter(root); err != nil {
		return err
	}
	const systemd = "/lib/systemd/systemd"
	argv := []string{systemd, "--log-target=journal-or-kmsg", "--show-status=no"}
	return unix.Exec(systemd, argv, []string{"container=muster", "TERM=dumb", "PATH=/usr/local/bin:/usr/bin:/usr/sbin"})
}

// enter makes root the only file system there is.
func enter(root string) error {
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return os.NewSyscallError("umount", err)
	}
	return unix.Chdir("/")
}

// mount is a call of mount(2). Its target is made where it is missing: a file for one with the flag isFile, else a folder.
type mount struct {
	source, target, kind string
	flags                uintptr
	data                 string
	isFile               bool
}

func (m mount) do() error {
	if m.isFile {
		if err := os.WriteFile(m.target, nil, 0o644); err != nil {
			return err
		}
	} else if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	return unix.Mount(m.source, m.target, m.kind, m.flags, m.data)
}

const (
	bind     = unix.MS_BIND | unix.MS_REC
	readOnly = unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY
)

// mounts are those of a machine, in their order.
func mounts(root string, groups []string) []mount {
	in := func(path string) string { return filepath.Join(root, path) }
	all := []mount{
		{source: "none", target: "/", flags: unix.MS_REC | unix.MS_PRIVATE},
		{source: root, target: root, flags: bind},
		{source: "/usr", target: in("usr"), flags: bind},
		{source: "none", target: in("usr"), flags: readOnly},
		{source: in("local"), target: in("usr/local"), flags: bind},
		{source: os.Getenv("E2E_NODE"), target: in("usr/local/bin/node"), flags: bind, isFile: true},
		{source: os.Getenv("E2E_PROGRAM"), target: in("agent"), flags: bind, isFile: true},
		{source: "proc", target: in("proc"), kind: "proc"},
		{source: "sysfs", target: in("sys"), kind: "sysfs", flags: unix.MS_RDONLY}, // or udev would start
		{source: "tmpfs", target: in("run"), kind: "tmpfs", data: "mode=755"},
		{source: "tmpfs", target: in("tmp"), kind: "tmpfs", data: "mode=1777"},
		{source: "tmpfs", target: in("dev"), kind: "tmpfs", data: "mode=755"},
		{source: "devpts", target: in("dev/pts"), kind: "devpts", data: "newinstance,ptmxmode=0666"},
		{source: "tmpfs", target: in("dev/shm"), kind: "tmpfs", data: "mode=1777"},
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		all = append(all, mount{source: "/dev/" + name, target: in("dev/" + name), flags: bind, isFile: true})
	}
	return append(all, groupMounts(in("sys/fs/cgroup"), groups)...)
}

// groupMounts are those of the control groups: each hierarchy as the machine around has it.
func groupMounts(base string, groups []string) []mount {
	if len(groups) == 1 && strings.HasPrefix(groups[0], "=") {
		return []mount{{source: "cgroup2", target: base, kind: "cgroup2"}}
	}
	all := []mount{{source: "tmpfs", target: base, kind: "tmpfs", data: "mode=755"}}
	for _, group := range groups {
		controllers, _, _ := strings.Cut(group, "=")
		name, named := strings.CutPrefix(controllers, "name:")
		switch {
		case controllers == "":
			all = append(all, mount{source: "cgroup2", target: filepath.Join(base, "unified"), kind: "cgroup2"})
		case named:
			all = append(all, mount{source: "cgroup", target: filepath.Join(base, name), kind: "cgroup", data: "none,name=" + name})
		default:
			all = append(all, mount{source: "cgroup", target: filepath.Join(base, controllers), kind: "cgroup", data: controllers})
		}
	}
	return all
}

// furnish makes the root of a machine.
func (m *machine) furnish() {
	m.t.Helper()
	for _, dir := range []string{"usr", "local/bin", "root", "var", "home/ann"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := os.Chown(filepath.Join(m.root, "home/ann"), annUID, annUID); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chmod(m.root, 0o755); err != nil {
		m.t.Fatal(err)
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		m.link("usr/"+link, link)
	}
	copyProgram(m.t, testutil.Muster(m.t), filepath.Join(m.root, "local/bin/muster"))
	m.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
	m.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\nweb:x:999:999::/srv/web:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n")
	m.write("etc/group", "root:x:0:\nnogroup:x:65534:\ntty:x:5:\nweb:x:999:\nann:x:1000:\n")
	m.write("etc/nsswitch.conf", "passwd: files\ngroup: files\n")
	m.write("etc/os-release", "ID=muster\n")
	m.write("etc/fstab", "")
	m.write("etc/pam.d/systemd-user", "account required pam_permit.so\nsession required pam_permit.so\n")
	m.write("etc/systemd/journald.conf.d/e2e.conf", "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nAudit=no\nReadKMsg=no\n")
	m.write("etc/systemd/system.conf.d/e2e.conf", "[Manager]\nDefaultTimeoutStopSec=20s\nDefaultEnvironment=GORACE=atexit_sleep_ms=0\n")
	m.write("etc/systemd/system/agent.service", "[Service]\nExecStart=/agent\nEnvironment="+roleVariable+"=agent GOTRACEBACK=all\n")
	// No logind, and so no bus: a user's folder for running things is made by hand.
	m.write("etc/systemd/system/user-runtime-dir@.service.d/e2e.conf",
		"[Service]\nExecStart=\nExecStop=\nExecStart=mkdir -p /run/user/%i\nExecStart=chown %i:%i /run/user/%i\nExecStart=chmod 700 /run/user/%i\n")
	m.write("etc/systemd/system/user@.service.d/e2e.conf", "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n")
	m.link("../agent.service", "etc/systemd/system/multi-user.target.wants/agent.service")
	m.link("/lib/systemd/system/multi-user.target", "etc/systemd/system/default.target")
	m.link("/dev/null", "etc/systemd/user-environment-generators/90gpg-agent") // it needs /etc/alternatives
	for _, unit := range useless {
		m.link("/dev/null", "etc/systemd/system/"+unit)
	}
}

// annUID is the user of a machine.
const annUID = 1000

// useless units cost time.
var useless = []string{
	"systemd-logind.service", "dbus.service", "dbus.socket", "getty.target", "systemd-user-sessions.service", "systemd-journal-flush.service",
	"systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-tmpfiles-clean.timer", "systemd-tmpfiles-setup.service",
	"systemd-tmpfiles-setup-dev.service", "systemd-sysctl.service", "systemd-sysusers.service", "systemd-random-seed.service",
	"systemd-machine-id-commit.service", "systemd-firstboot.service", "systemd-binfmt.service", "systemd-modules-load.service",
	"proc-sys-fs-binfmt_misc.automount", "dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
	"sys-kernel-config.mount", "sys-fs-fuse-connections.mount", "systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service",
	"systemd-repart.service", "systemd-initctl.socket", "systemd-journald-audit.socket", "systemd-remount-fs.service",
}

func (m *machine) link(target, path string) {
	m.t.Helper()
	file := filepath.Join(m.root, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Symlink(target, file); err != nil {
		m.t.Fatal(err)
	}
}
