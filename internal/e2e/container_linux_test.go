package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/musterd/muster/internal/testutil"
	"go.yaml.in/yaml/v3"
)

// bundle is a container's config.json, as the parts that the tests change (OCI runtime specification 1.0).
type bundle struct {
	t    testing.TB
	spec map[string]any
}

// part is an object in the config, made if it is missing.
func (b bundle) part(path ...string) map[string]any {
	at := b.spec
	for _, key := range path {
		next, ok := at[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[key] = next
		}
		at = next
	}
	return at
}

func (b bundle) args(args ...string) {
	b.part("process")["args"] = append([]string{"/muster"}, args...)
}
func (b bundle) readOnly() { b.part("root")["readonly"] = true }
func (b bundle) memory(bytes int) {
	b.part("linux", "resources")["memory"] = map[string]any{"limit": bytes}
}
func (b bundle) env(entries ...string) {
	b.part("process")["env"] = append([]string{"PATH=/usr/bin:/bin"}, entries...)
}

// user is who the first process is. Root has what Docker leaves to it, others nothing.
func (b bundle) user(uid int) {
	b.part("process")["user"] = map[string]any{"uid": uid, "gid": uid}
	b.part("process")["noNewPrivileges"] = true
	caps := []string{}
	if uid == 0 {
		caps = []string{
			"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP",
			"CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT", "CAP_AUDIT_WRITE",
		}
	}
	b.part("process")["capabilities"] = map[string]any{"bounding": caps, "effective": caps, "permitted": caps}
}

// unmount leaves a mount out.
func (b bundle) unmount(destination string) {
	var rest []any
	for _, m := range b.spec["mounts"].([]any) {
		if m.(map[string]any)["destination"] != destination {
			rest = append(rest, m)
		}
	}
	b.spec["mounts"] = rest
}

func (b bundle) mount(destination, kind string, options ...string) {
	b.unmount(destination)
	b.spec["mounts"] = append(b.spec["mounts"].([]any), map[string]any{"destination": destination, "type": kind, "source": kind, "options": options})
}

// bind shows a folder of the test in the container.
func (b bundle) bind(source, destination string) {
	b.mount(destination, "bind", "bind", "ro")
	mounts := b.spec["mounts"].([]any)
	mounts[len(mounts)-1].(map[string]any)["source"] = source
}

// contained runs muster as the first process of a container.
func contained(t testing.TB, change func(b bundle)) *testutil.Running {
	t.Helper()
	needRoot(t)
	c := newContainer(t, `{"pids": {"limit": 100}}`)
	path := filepath.Join(c.bundle, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := bundle{t: t, spec: map[string]any{}}
	if err := json.Unmarshal(text, &b.spec); err != nil {
		t.Fatal(err)
	}
	b.user(0)
	change(b)
	if text, err = json.Marshal(b.spec); err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(c.bundle, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	return testutil.Start(t, testutil.Command{Path: c.runc, Args: []string{"run", "--bundle", c.bundle, c.name}})
}

// TestContainersThatAllowLittle: muster serves in each, or says what it lacks.
func TestContainersThatAllowLittle(t *testing.T) {
	t.Parallel()
	const nobody = 54321
	lessCPU := "serving workers=1" // version 2 gives the lesser of both
	if ownGroup(t, "cpu") != "" {
		lessCPU = `limit is not in force limit="cpu of each worker" reason="write .*cpu.cfs_quota_us: invalid argument \(a group above may allow less\)"`
	}
	tests := []struct {
		name   string
		change func(b bundle)
		told   string // one line; then it is stopped
		code   int    // if it ends by itself
	}{
		{"root that is read-only, a tmpfs at /run", func(b bundle) { b.readOnly() }, "serving workers=", -1},
		{"another user, /tmp", func(b bundle) { b.user(nobody); b.mount("/tmp", "tmpfs", "mode=1777") }, "serving workers=", -1},
		{"another user, a tmpfs as MUSTER_HOME, all else read-only", func(b bundle) {
			b.user(nobody)
			b.readOnly()
			b.mount("/run/muster", "tmpfs", "mode=1777")
			b.env("MUSTER_HOME=/run/muster/home")
		}, "serving workers=", -1},
		{"nowhere to write", func(b bundle) { b.user(nobody); b.readOnly(); b.unmount("/run") }, "^hint: .*tmpfs", 1},
		{"processes of others are hidden", func(b bundle) {
			b.user(nobody)
			b.mount("/tmp", "tmpfs", "mode=1777")
			b.mount("/proc", "proc", "hidepid=2")
		}, "serving workers=", -1},
		{"workers of another user", func(b bundle) {
			b.args("run", "-i", "1", "--handoff", "none", "--user", "54321", "--group", "54321", "--", "sh", "-c", "echo as $(id -u); sleep 1000")
		}, `\| as 54321$`, -1},
		{"no capability to change the user", func(b bundle) {
			b.args("run", "-i", "1", "--handoff", "none", "--user", "54321", "--group", "54321", "--", "sleep", "1000")
			b.part("process")["capabilities"] = map[string]any{}
		}, "without CAP_SETUID", 2},
		{"control groups that are read-only", func(b bundle) {
			b.args("run", "-i", "1", "--handoff", "none", "--worker-limits", "memory=64M", "--", "sleep", "1000")
		}, `limit is not in force limit="memory of each worker" reason="the control groups are mounted read-only: /sys/fs/cgroup.*give the limits to its engine`, -1},
		{"control groups that are writable", func(b bundle) {
			b.part("process")["capabilities"] = map[string]any{}
			b.mount("/sys/fs/cgroup", "cgroup", "rw")
			b.args("run", "-i", "1", "--handoff", "none", "--worker-limits", "memory=40M", "--limits-required", "--", "tail", "/dev/zero")
		}, `out of memory: the limit of the worker is 40M`, -1},
		{"less CPU time than a worker is to have", func(b bundle) {
			b.part("linux", "resources")["cpu"] = map[string]any{"quota": 50000, "period": 100000}
			b.mount("/sys/fs/cgroup", "cgroup", "rw")
			b.args("run", "-i", "1", "--handoff", "none", "--worker-limits", "cpu=1", "--", "sleep", "1000")
		}, lessCPU, -1},
		{"out of the container's memory", func(b bundle) {
			b.memory(64 << 20)
			b.args("run", "-i", "1", "--handoff", "none", "--", "tail", "/dev/zero")
		}, `worker exited .*killed by SIGKILL \(out of memory\)`, -1},
		{"a worker's exit code", func(b bundle) { b.args("run", "--max-restarts", "0", "--handoff", "none", "--", "sh", "-c", "exit 23") }, "gave up", 23},
		{"a worker's signal", func(b bundle) {
			b.args("run", "--max-restarts", "0", "--handoff", "none", "--", "sh", "-c", "kill -SEGV $$")
		}, "killed by SIGSEGV", 128 + int(syscall.SIGSEGV)},
		{"a program that is not there", func(b bundle) { b.args("run", "--", "./nothing") }, "no such file", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := contained(t, tt.change)
			r.WaitLine(tt.told)
			want := tt.code
			if want < 0 {
				r.Signal(syscall.SIGTERM)
				want = 0
			}
			if code := r.WaitExit().ExitCode(); code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
		})
	}
}

// TestWithoutProc says what is missing, whatever asks for it first.
func TestWithoutProc(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c := newContainer(t, `{}`)
	const script = `cd $1/rootfs && mount --bind /usr usr && mount -t tmpfs tmpfs run && mount --bind /dev dev && exec chroot . /usr/bin/env -i PATH=/usr/bin /muster run -i 1 --handoff none -- sleep 1000`
	r := testutil.Start(t, testutil.Command{Path: testutil.Need(t, "unshare"), Args: []string{"--mount", "sh", "-c", script, "sh", c.bundle}})
	r.WaitLine("muster: /proc is not mounted")
	r.WaitLine("hint: mount it")
	if code := r.WaitExit().ExitCode(); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
}

// documented is the block of that language in the documentation of containers.
func documented(t testing.TB, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testutil.Root(), "docs/how-to/containers.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "```"+language+"\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatalf("no %s in the documentation", language)
	}
	return block
}

// instruction is the list that an instruction of a Dockerfile has.
func instruction(t testing.TB, dockerfile, name string) (words []string) {
	t.Helper()
	for line := range strings.Lines(dockerfile) {
		if list, ok := strings.CutPrefix(line, name+" "); ok {
			if err := json.Unmarshal([]byte(list), &words); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	return words
}

// TestTheDocumentedContainer runs what the Dockerfile says, with as little as the compose file leaves, and uses it as the text does.
func TestTheDocumentedContainer(t *testing.T) {
	t.Parallel()
	dockerfile := documented(t, "dockerfile")
	var compose struct {
		Services map[string]struct {
			CPUs     float64  `yaml:"cpus"`
			PIDs     int      `yaml:"pids_limit"`
			ReadOnly bool     `yaml:"read_only"`
			Tmpfs    []string `yaml:"tmpfs"`
			CapDrop  []string `yaml:"cap_drop"`
		}
	}
	if err := yaml.Unmarshal([]byte(documented(t, "yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	web := compose.Services["web"]
	if !web.ReadOnly || !slices.Equal(web.CapDrop, []string{"ALL"}) || len(web.Tmpfs) != 1 {
		t.Fatalf("the compose file says %+v", web)
	}
	var name string
	node, srv := testutil.AnyNode(t), openDir(t)
	writeFile(t, filepath.Join(srv, "server.js"), "require('http').createServer((_, res) => res.end('hello')).listen(process.env.PORT)")
	r := contained(t, func(b bundle) {
		name = b.part("linux")["cgroupsPath"].(string)
		argv := slices.Concat(instruction(t, dockerfile, "ENTRYPOINT"), instruction(t, dockerfile, "CMD"))
		b.args(argv[1:]...)
		b.user(1000)
		b.readOnly()
		b.unmount("/run")
		b.mount(web.Tmpfs[0], "tmpfs", "mode=1777")
		b.part("linux", "resources")["cpu"] = map[string]any{"quota": int(web.CPUs * 100000), "period": 100000}
		b.part("linux", "resources")["pids"] = map[string]any{"limit": web.PIDs}
		b.part("process")["cwd"] = "/srv"
		b.bind(srv, "/srv")
		b.bind(filepath.Dir(node), "/node")
		b.env("PATH=/node:/usr/bin:/bin")
	})
	r.WaitLine("serving workers=" + strconv.Itoa(min(int(web.CPUs), runtime.NumCPU())))
	inside := func(argv ...string) string {
		t.Helper()
		out, err := shellCommand(t, testutil.Need(t, "runc"), append([]string{"exec", name}, argv...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, out)
		}
		return string(out)
	}
	inside(instruction(t, dockerfile, "HEALTHCHECK CMD")...)
	if got := inside("/muster", "list"); !strings.Contains(got, "web") {
		t.Errorf("list says %q", got)
	}
	if got := inside("/muster", "reload", "web"); !strings.Contains(got, "reloaded web") {
		t.Errorf("reload says %q", got)
	}
	inside("/muster", "scale", "web", "3")
	r.Signal(syscall.SIGTERM)
	if code := r.WaitExit().ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}
