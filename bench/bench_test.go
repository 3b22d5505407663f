package main

import (
	"os"
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

func TestPSSOfThisProcess(t *testing.T) {
	t.Parallel()
	if got := pss(os.Getpid()); runtime.GOOS == "linux" && (got < 1 || got > 1000) {
		t.Errorf("%v MB", got)
	}
}
