// Bench measures muster beside what people run instead, on this machine, and prints Markdown tables.
//
//	go run ./bench [-rounds n] [-time d] [name …]
//
// The contenders of a measurement take turns within each round, and a figure is the median of its rounds. Only ratios mean something on
// another machine. The clients of a load share the CPUs with the servers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/musterd/muster/internal/testutil"
)

// benchmark is one comparison.
type benchmark struct {
	name string
	what string
	run  func(ctx context.Context, b *bench) ([]table, error)
}

// benchmarks are all comparisons, in the order in which they run.
var benchmarks = []benchmark{
	{"reference", "a worker that crashes on every request, under the master it was written for and under muster", reference},
	{"lines", "a worker that writes lines flat out, to a file of its own and through managers", lines},
	{"throughput", "a Node server alone, under Node's cluster, and under muster", throughput},
}

// bench is what a comparison is run with.
type bench struct {
	rounds  int
	time    time.Duration // of one load
	workers int
	node    string // program
	muster  string // program
	dir     string // scratch
}

func main() {
	if d, err := time.ParseDuration(os.Getenv(linesFor)); err == nil {
		if err := lineWorker(d); err != nil {
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	b := &bench{workers: runtime.NumCPU()}
	flag.IntVar(&b.rounds, "rounds", 3, "rounds per contender")
	flag.DurationVar(&b.time, "time", 5*time.Second, "duration of one load")
	flag.Parse()
	chosen, err := choose(flag.Args())
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	if err := errors.Join(b.findNode(), b.findMuster(ctx)); err != nil {
		return err
	}
	return b.runAll(ctx, chosen)
}

func (b *bench) runAll(ctx context.Context, chosen []benchmark) error {
	for _, c := range chosen {
		fmt.Printf("## %s\n\n%s; %d CPUs, %s\n", c.name, c.what, runtime.NumCPU(), time.Now().Format(time.DateOnly))
		tables, err := c.run(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		for _, t := range tables {
			fmt.Print("\n", t.markdown())
		}
		fmt.Println()
	}
	return nil
}

// choose returns the benchmarks of these names; all without names.
func choose(names []string) ([]benchmark, error) {
	if len(names) == 0 {
		return benchmarks, nil
	}
	var chosen []benchmark
	for _, name := range names {
		i := slices.IndexFunc(benchmarks, func(c benchmark) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no benchmark %q; there are %s", name, allNames())
		}
		chosen = append(chosen, benchmarks[i])
	}
	return chosen, nil
}

func allNames() string {
	var names []string
	for _, c := range benchmarks {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

func (b *bench) findNode() error {
	for _, major := range slices.Backward(testutil.NodeVersions()) {
		if b.node = testutil.FindNode(major); b.node != "" {
			return nil
		}
	}
	return errors.New("find node: run tools/setup-node.sh")
}

func (b *bench) findMuster(ctx context.Context) error {
	if b.muster = os.Getenv("MUSTER_BIN"); b.muster != "" {
		return nil
	}
	b.muster = filepath.Join(b.dir, "muster")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", b.muster, "./cmd/muster")
	cmd.Dir = testutil.Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build muster: %w\n%s", err, out)
	}
	return nil
}
