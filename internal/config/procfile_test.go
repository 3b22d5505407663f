package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
)

func noVariables(string) (string, bool) { return "", false }

func TestProcfile(t *testing.T) {
	t.Parallel()
	const text = "# the site\nweb: node server.js\n\nworker_1: bundle exec sidekiq -c $N\nrelease:   rake db:migrate\r\nclock:\tA=1 ./clock && true\n"
	procs := func(base int, env ...string) []app.Spec {
		port := func(i int) map[string]string {
			return map[string]string{"PORT": []string{"5000", "5100", "5200", "5300", "7000", "7100", "7200", "7300"}[base+i]}
		}
		return []app.Spec{
			{Name: "web", Command: []string{"node", "server.js"}, Workers: "1", Env: port(0), EnvFile: env},
			{Name: "worker_1", Command: []string{"sh", "-c", "exec bundle exec sidekiq -c $N"}, Workers: "1", Env: port(1), EnvFile: env},
			{Name: "release", Command: []string{"rake", "db:migrate"}, Job: true, Env: port(2), EnvFile: env},
			{Name: "clock", Command: []string{"sh", "-c", "A=1 ./clock && true"}, Workers: "1", Env: port(3), EnvFile: env},
		}
	}
	tests := []struct {
		name   string
		files  map[string]string
		lookup func(string) (string, bool)
		want   []app.Spec
	}{
		{"alone", map[string]string{"Procfile": text}, noVariables, procs(0)},
		{"with variables", map[string]string{"Procfile": text, ".env": "A=1\n"}, noVariables, procs(0, ".env")},
		{"with a port", map[string]string{"Procfile": text, ".env": "PORT=7000\n"}, environment, procs(4, ".env")},
		{"port of the shell", map[string]string{"Procfile": text}, func(name string) (string, bool) { return "7000", name == "PORT" }, procs(4)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			entries, notes, err := config.Load(write(t, test.files), config.Options{Lookup: test.lookup})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, specs(entries)); diff != "" {
				t.Error(diff)
			}
			if len(notes) != 1 || !strings.HasSuffix(notes[0].String(), "Procfile:5: release runs once and is not started again: it is a job") {
				t.Errorf("notes %v", notes)
			}
		})
	}
}

func TestProcfileErrors(t *testing.T) {
	t.Parallel()
	const hint = "; hint: write a name, a colon and a command: web: node server.js"
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"lines", map[string]string{"Procfile.dev": "web node\n\nweb:\nweb: x\n: y\na b: c\nc: node 'x\nall: x\nA=1 b: x"}, []string{
			"Procfile.dev:1: is no line of a Procfile" + hint,
			"Procfile.dev:3:5: command: names no program; hint: name a file or a program to run",
			"Procfile.dev:4: web stands here twice, the first time in line 3; hint: give one of them another name",
			"Procfile.dev:5: is no line of a Procfile" + hint,
			"Procfile.dev:6: is no line of a Procfile" + hint,
			`Procfile.dev:7:4: command "node 'x": a quote is not closed; hint: close it, or write a backslash before a quote that stands for itself`,
			`Procfile.dev:8:1: name "all": means every app; hint: choose another name`,
			"Procfile.dev:9: is no line of a Procfile" + hint,
		}},
		{"empty", map[string]string{"Procfile.dev": "# none\n"}, []string{"Procfile.dev: is empty" + hint}},
		{"variables", map[string]string{"Procfile.dev": "web: x", ".env": "A=1\nB"}, []string{".env:2: there is no = after the name; hint: write NAME=value"}},
		{"port", map[string]string{"Procfile.dev": "web: x", ".env": "PORT=x"}, []string{`Procfile.dev: PORT "x": is not the number of a port; hint: write PORT=5000, or leave it out`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := config.Load(filepath.Join(write(t, test.files), "Procfile.dev"), config.Options{Lookup: noVariables})
			checkErrors(t, err, test.want)
		})
	}
}

// FuzzProcfile reads any text as a Procfile.
func FuzzProcfile(f *testing.F) {
	for _, seed := range []string{"web: node server.js\n# x\nworker: A=1 b $C", "web: 'x\n", "a: b\r\nrelease: c\n: d", "\ufeffx: y && z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { checkAny(t, "Procfile", text) })
}

func TestFind(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for _, name := range []string{"Procfile", "ecosystem.config.cjs", "ecosystem.config.js", "muster.yml", "muster.yaml"} {
		files[name] = "x: y"
		found, err := config.Find(write(t, files))
		if err != nil || filepath.Base(found) != name {
			t.Errorf("found %s, %v; want %s", found, err, name)
		}
	}
	is := map[string]bool{
		"muster.yaml": true, "x.YML": true, "a/b.json": true, "Procfile": true, "Procfile.dev": true, "ecosystem.config.js": true, "api.config.cjs": true,
		"server.js": false, "ecosystem": false, "Procfiles": false, "x.toml": false, "process.js": false, "worker-process.js": false,
	}
	got := map[string]bool{}
	for name := range is {
		got[name] = config.IsAppFile(name)
	}
	if diff := cmp.Diff(is, got); diff != "" {
		t.Error(diff)
	}
}
