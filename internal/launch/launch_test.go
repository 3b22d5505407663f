package launch_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/envfile"
	"github.com/musterd/muster/internal/launch"
)

// home makes a directory with programs in bin, and files.
func home(t *testing.T) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"bin/node": "#!/bin/sh\n", "bin/npm": "#!/bin/sh\n", "bin/tool": "#!/bin/sh\n", "app/server.js": "",
		"app/.env": "A=file\nB=${HOST_VAR}\nC=${A}2\n", "app/more.env": "A=more\nD='$x'\n", "app/bad.env": "A=1\nB\n",
		"app/package.json":        `{"name":"@org/shop","scripts":{"start":"A=script node server.js --slot {slot}","bad":"node server.js {fd.nope}"}}`,
		"app/node_modules/.bin/x": "", "app/x": "",
	} {
		write(t, filepath.Join(root, name), text)
	}
	return root
}

func write(t *testing.T, file, text string) {
	t.Helper()
	syscall.ForkLock.RLock() // a process forked now would hold the file open for writing, and nobody could execute it
	defer syscall.ForkLock.RUnlock()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func host(root string) launch.Host {
	env := []string{"PATH=" + root + "/bin", "HOST_VAR=h", "A=host", "PWD=/elsewhere", "NODE_CHANNEL_FD=3", "NOTIFY_SOCKET=/run/x", "=odd", "novalue"}
	return launch.Host{Dir: root, Env: env, CPUs: 4}
}

func TestHandoffAndWorkers(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		command string
		spec    app.Spec
		handoff app.Handoff
		workers int
		kind    string
	}{
		{"Node", "node app/server.js", app.Spec{}, app.HandoffNode, 4, launch.KindNode},
		{"Node with a listener", "node app/server.js", app.Spec{Listen: []string{":1"}}, app.HandoffNode, 4, launch.KindNode},
		{"Node that asks for a descriptor", "node app/server.js {fd}", app.Spec{Listen: []string{":1"}}, app.HandoffInherit, 4, launch.KindNode},
		{"Node without sockets", "node app/server.js", app.Spec{Handoff: app.HandoffNone}, app.HandoffNone, 1, launch.KindNode},
		{"Node without a script", "node -e 1", app.Spec{}, app.HandoffNone, 1, launch.KindOther},
		{"Node that is assigned a descriptor", "env FD={fd} node app/server.js", app.Spec{Listen: []string{":1"}}, app.HandoffInherit, 4, launch.KindNode},
		{"SDK", self, app.Spec{}, app.HandoffNode, 4, launch.KindSDK},
		{"SDK that asks for a descriptor", self + " {fd}", app.Spec{Listen: []string{":1"}}, app.HandoffInherit, 4, launch.KindSDK},
		{"any program", "tool", app.Spec{}, app.HandoffNone, 1, launch.KindOther},
		{"any program with a listener", "tool", app.Spec{Listen: []string{":1"}}, app.HandoffInherit, 4, launch.KindOther},
		{"any program as if Node", "tool", app.Spec{Handoff: app.HandoffNode}, app.HandoffNode, 4, launch.KindOther},
		{"message", "tool", app.Spec{Handoff: app.HandoffMessage, Listen: []string{":1"}}, app.HandoffMessage, 4, launch.KindOther},
		{"workers given", "tool", app.Spec{Workers: "3"}, app.HandoffNone, 3, launch.KindOther},
		{"workers as a share", "node app/server.js", app.Spec{Workers: "50%"}, app.HandoffNode, 2, launch.KindNode},
		{"as many as the CPU limit keeps busy", "node app/server.js", app.Spec{AppLimits: map[string]string{"cpu": "150%"}}, app.HandoffNode, 2, launch.KindNode},
	}
	root := home(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.spec.Command = strings.Fields(test.command)
			p, err := launch.Resolve(test.spec, host(root))
			if err != nil {
				t.Fatal(err)
			}
			if p.Handoff != test.handoff || p.Workers != test.workers || p.Kind != test.kind {
				t.Errorf("got %s, %d workers, kind %s", p.Handoff, p.Workers, p.Kind)
			}
		})
	}
}

func TestAssignmentsWithPlaceholdersAreKeptApart(t *testing.T) {
	t.Parallel()
	root := home(t)
	spec := app.Spec{Command: []string{"env", "FDS={fd};", "MODE=fast", "tool"}, Listen: []string{":1"}}
	p, err := launch.Resolve(spec, host(root))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"FDS={fd};"}, p.Assign); diff != "" {
		t.Error(diff)
	}
	if env := strings.Join(p.Env, " "); !strings.Contains(env, "MODE=fast") || strings.Contains(env, "FDS=") {
		t.Errorf("environment %s", env)
	}
	spec.Command[1] = "FDS={fd.nope}"
	if _, err := launch.Resolve(spec, host(root)); err == nil || !strings.Contains(err.Error(), "no listener has that name") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsKnownOfPrograms(t *testing.T) {
	t.Parallel()
	root := home(t)
	for _, name := range []string{"nginx", "php-fpm8.2"} {
		write(t, filepath.Join(root, "bin", name), "\x7fELF")
	}
	tests := []struct {
		command, given, signal string
		nonblock               bool
	}{
		{"tool", "", "SIGTERM", false},
		{"nginx", "", "SIGQUIT", true},
		{"env NGINX={fd}; nginx -g x", "", "SIGQUIT", true},
		{"nginx", "TERM", "SIGTERM", true},
		{"php-fpm8.2 -F", "", "SIGQUIT", false},
	}
	for _, test := range tests {
		p, err := launch.Resolve(app.Spec{Command: strings.Fields(test.command), StopSignal: test.given, Listen: []string{":1"}}, host(root))
		if err != nil || p.App.Signal != test.signal || p.Nonblock != test.nonblock {
			t.Errorf("%s: %s, %v, %v", test.command, p.App.Signal, p.Nonblock, err)
		}
	}
}

func TestEverythingTogether(t *testing.T) {
	t.Parallel()
	root := home(t)
	spec := app.Spec{
		Command: []string{"npm", "start"}, Cwd: "app", EnvFile: []string{".env", "more.env"}, Env: map[string]string{"C": "flag", "E": "5"},
		Listen: []string{"unix:run.sock"},
	}
	p, err := launch.Resolve(spec, host(root))
	if err != nil {
		t.Fatal(err)
	}
	dir := root + "/app"
	if p.Dir != dir || p.Path != root+"/bin/node" || p.App.Name != "shop" || p.App.Listeners[0].Path != dir+"/run.sock" || p.CPUs != 4 {
		t.Errorf("got %+v", p)
	}
	if diff := cmp.Diff([]string{"node", "server.js", "--slot", "{slot}"}, p.Argv); diff != "" {
		t.Error(diff)
	}
	want := []string{
		"A=script", "B=h", "C=flag", "D=$x", "E=5", "HOST_VAR=h", "INIT_CWD=" + dir, "PATH=" + dir + "/node_modules/.bin:" + root + "/bin", "PWD=" + dir,
		"npm_lifecycle_event=start", "npm_lifecycle_script=A=script node server.js --slot {slot}", "npm_package_json=" + dir + "/package.json",
		"npm_package_name=@org/shop", "npm_package_version=",
	}
	if diff := cmp.Diff(want, p.Env); diff != "" {
		t.Error(diff)
	}
}

func TestNameGivenWins(t *testing.T) {
	t.Parallel()
	root := home(t)
	p, err := launch.Resolve(app.Spec{Name: "mine", Command: []string{"npm", "start"}, Cwd: "app"}, host(root))
	if err != nil || p.App.Name != "mine" {
		t.Errorf("got %q, %v", p.App.Name, err)
	}
}

func TestProgramsAreFoundInThePathOfTheWorkers(t *testing.T) {
	t.Parallel()
	root := home(t)
	p, err := launch.Resolve(app.Spec{Command: []string{"x"}, Env: map[string]string{"PATH": root + "/app/node_modules/.bin"}}, host(root))
	if err != nil || p.Path != root+"/app/node_modules/.bin/x" || slices.Contains(p.Env, "PATH="+root+"/bin") {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, command string
		spec          app.Spec
		message, hint string
	}{
		{"spec", "tool", app.Spec{Workers: "0"}, `workers "0": an app needs`, "--workers max"},
		{"no such directory", "tool", app.Spec{Cwd: "nope"}, `cwd "nope": there is no directory ROOT/nope`, "make it"},
		{"no directory", "tool", app.Spec{Cwd: "bin/tool"}, `cwd "bin/tool": is not a directory`, ""},
		{"below a file", "tool", app.Spec{Cwd: "bin/tool/x"}, `cwd "bin/tool/x": stat ROOT/bin/tool/x: not a directory`, ""},
		{"socket in a long directory", "tool", app.Spec{Listen: []string{"unix:" + strings.Repeat("x", 107)}}, `listen "unix:x`, "shorter"},
		{"no such env file", "tool", app.Spec{EnvFile: []string{"nope"}}, `env_file "nope": no such file or directory`, "--cwd"},
		{"a directory as env file", "tool", app.Spec{EnvFile: []string{"bin"}}, `env_file "bin": is a directory`, "NAME=value"},
		{"program", "nope", app.Spec{}, `command "nope": not found in PATH`, "install"},
		{"descriptor that is not inherited", "node app/server.js {fd}", app.Spec{Handoff: app.HandoffNode, Listen: []string{":1"}}, `handoff "node": leaves no descriptor for {fd}`, "--handoff inherit"},
		{"listener that only the script names", "npm run bad", app.Spec{Cwd: "app", Listen: []string{"web=:1"}}, `command "{fd.nope}": no listener has that name`, "web"},
	}
	root := home(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.spec.Command = strings.Fields(test.command)
			_, err := launch.Resolve(test.spec, host(root))
			e, ok := errors.AsType[*app.Error](err)
			if !ok || !strings.HasPrefix(strings.ReplaceAll(err.Error(), root, "ROOT"), test.message) || !strings.Contains(e.Hint, test.hint) {
				t.Errorf("got %v, %+v", err, e)
			}
		})
	}
	t.Run("line of an env file", func(t *testing.T) {
		t.Parallel()
		_, err := launch.Resolve(app.Spec{Command: []string{"tool"}, Cwd: "app", EnvFile: []string{"bad.env"}}, host(root))
		if e, ok := errors.AsType[*envfile.Error](err); !ok || e.Error() != "bad.env:2: there is no = after the name" {
			t.Errorf("got %v", err)
		}
	})
}

func TestEnvDrop(t *testing.T) {
	t.Parallel()
	root := home(t)
	h := host(root)
	h.Env = append(h.Env, "AWS_KEY=1", "AWS_ID=2", "OTHER=3")
	p, err := launch.Resolve(app.Spec{Command: []string{"tool"}, EnvDrop: []string{"AWS_*", "PATH"}, Env: map[string]string{"AWS_ID": "own"}}, h)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range p.Env {
		if strings.HasPrefix(entry, "AWS") || strings.HasPrefix(entry, "OTHER") || strings.HasPrefix(entry, "PATH=") {
			names = append(names, strings.SplitN(entry, "=", 2)[0])
		}
	}
	if diff := cmp.Diff([]string{"AWS_ID", "OTHER", "PATH"}, names); diff != "" {
		t.Error(diff)
	}
}
