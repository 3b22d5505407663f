package main

import (
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTableShowsMediansAndRatios(t *testing.T) {
	t.Parallel()
	tab := newTable("clients", []column{{"req/s", "%.0f"}, {"ms", "%.1f"}}, "one", "other", "none", "left out")
	tab.rows[0].add(300, 1)
	tab.rows[0].add(100, 2)
	tab.rows[0].add(200, 0)
	tab.rows[1].add(350, none)
	tab.rows[1].add(450, none)
	tab.rows[2].add(0, 0)
	want := "| clients | req/s | ms |\n|---|---|---|\n| one | 200 | 1.0 |\n| other | 400 (2.00×) | – |\n| none | 0 (0.00×) | 0.0 (0.00×) |\n"
	if diff := cmp.Diff(want, tab.markdown()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestChooseKnowsEveryBenchmark(t *testing.T) {
	t.Parallel()
	all, err := choose([]string{everything})
	if err != nil || len(all) != len(benchmarks) {
		t.Errorf("%d benchmarks, %v", len(all), err)
	}
	for _, c := range benchmarks {
		if got, err := choose([]string{c.name}); err != nil || len(got) != 1 || got[0].name != c.name {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		if !strings.Contains(catalogue(), c.name+" ") {
			t.Errorf("%s is not in the catalogue", c.name)
		}
	}
	if _, err := choose([]string{"nothing"}); err == nil {
		t.Error("no error for an unknown name")
	}
}

func TestReportIsATable(t *testing.T) {
	t.Parallel()
	r := &report{header: []string{"", "one", "other"}, lines: [][]string{{"what", "a", "b"}}}
	want := "|  | one | other |\n|---|---|---|\n| what | a | b |\n"
	if diff := cmp.Diff(want, r.markdown()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBusiest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		byPID map[int]int
		want  float64
	}{
		{map[int]int{1: 5, 2: 5, 3: 5, 4: 5}, 1},
		{map[int]int{1: 20}, blockedWorkers},
		{map[int]int{1: 10, 2: 6, 3: 4}, 2},
	} {
		if got := busiest(test.byPID); got != test.want {
			t.Errorf("%v: %v, want %v", test.byPID, got, test.want)
		}
	}
	if got := busiest(nil); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
}

// The managers are told of the same apps in their own words.
func TestAppFiles(t *testing.T) {
	t.Parallel()
	apps := []appSpec{{name: "web", script: "app.js", workers: 2, spares: 1}, {name: "own", binary: "/bin/true", workers: 1, fork: true}}
	for name, test := range map[string]struct {
		file func([]appSpec) (string, string)
		want []string
	}{
		"muster.yaml":         {musterFile, []string{`"command": "node app.js"`, `"workers": 2`, `"spares": 1`, `"command": "/bin/true"`}},
		"ecosystem.config.js": {pm2File, []string{`"script": "app.js"`, `"instances": 2`, `"exec_mode": "cluster"`, `"interpreter": "none"`, `"exec_mode": "fork"`}},
	} {
		got, text := test.file(apps)
		if got != name {
			t.Errorf("%s is called %s", name, got)
		}
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s without %s:\n%s", name, want, text)
			}
		}
	}
}

func TestWhatARunLeavesIsKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("processes are found by their environment")
	}
	mark := "BENCH_TEST=" + t.TempDir()
	cmd := exec.Command("sleep", "1000")
	cmd.Env = append(os.Environ(), mark)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if n := killMarked("BENCH_TEST=another"); n != 0 {
		t.Errorf("%d processes of another run", n)
	}
	if n := killMarked(mark); n == 0 {
		t.Error("nothing was killed")
		_ = cmd.Process.Kill()
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("it ended with %v", err)
	}
}

func TestPSSOfThisProcess(t *testing.T) {
	t.Parallel()
	if got := pss(os.Getpid()); runtime.GOOS == "linux" && (got < 1 || got > 1000) {
		t.Errorf("%v MB", got)
	}
}
