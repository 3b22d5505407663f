// Bench measures muster beside what people run instead, on this machine, and prints Markdown tables.
//
//	go run ./bench [-rounds n] [-time d] name … | all
//
// Without a name it says which measurements there are.
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
	name   string
	what   string // in a sentence
	rounds int    // unless the user says otherwise
	run    func(ctx context.Context, b *bench) ([]result, error)
}

// benchmarks are all comparisons, in the order in which they run.
var benchmarks = []benchmark{
	{"reference", "a worker that crashes on every request, under the master it was written for and under muster", 3, reference},
	{"lines", "a worker that writes lines flat out, to a file of its own and through managers", 3, lines},
	{"throughput", "a Node server alone, under Node's cluster, and under muster", 3, throughput},
	{"pm2", "PM2 and muster side by side: a broken release, crash loops, a killed daemon, a misspelt key, reloads, fifty apps", 1, sideBySide},
	{"fleet", "200 apps of one worker each beside PM2's, and one app with 1,000 workers", 1, fleet},
	{"balance", "one queue for each worker against one for all, under five loads, for Node and Go workers", 1, balance},
	{"spare", "the next answer after the SIGKILL of a worker that needs 300 ms to boot, under PM2 and under muster, with and without a spare", 1, spare},
	{"blocked", "new connections while two of four workers stand still in turn, under muster, Node's cluster, and without a master", 1, blocked},
}

// result is what a comparison has come to.
type result interface {
	markdown() string
}

// bench is what a comparison is run with.
type bench struct {
	rounds  int
	time    time.Duration // of one load
	only    string        // text in the names of contenders to run; empty: all
	workers int
	node    string // program
	muster  string // program
	self    string // this program, which is also a worker
	dir     string // scratch
}

func main() {
	if beWorker() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// beWorker is this program as a worker of its own measurements. It is false where it is none.
func beWorker() bool {
	var err error
	if d, bad := time.ParseDuration(os.Getenv(linesFor)); bad == nil {
		err = lineWorker(d)
	} else if addr := os.Getenv(serveOn); addr != "" {
		err = goWorker(addr)
	} else {
		return false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench, a worker:", err)
		os.Exit(1)
	}
	return true
}

func run(ctx context.Context) error {
	b := &bench{workers: runtime.NumCPU()}
	flag.IntVar(&b.rounds, "rounds", 0, "rounds per contender; 0: as many as suit the measurement")
	flag.DurationVar(&b.time, "time", 5*time.Second, "duration of one load")
	flag.StringVar(&b.only, "only", "", "leave out contenders whose name does not hold this text")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Print(catalogue())
		return nil
	}
	chosen, err := choose(flag.Args())
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	defer b.leaveNothing()
	if err := errors.Join(b.findNode(), b.findSelf(), b.findMuster(ctx), b.writePrograms(b.dir), b.moveHome()); err != nil {
		return err
	}
	return b.runAll(ctx, chosen)
}

// catalogue says what can be measured.
func catalogue() string {
	var s strings.Builder
	for _, c := range benchmarks {
		fmt.Fprintf(&s, "%-12s%s\n", c.name, c.what)
	}
	return s.String() + fmt.Sprintf("%-12s%s\n", everything, "one after the other")
}

// everything is the name of all benchmarks.
const everything = "all"

// userHome is where npm finds its settings and its cache.
var userHome = os.Getenv("HOME")

// runMark is a variable in the environment of all that a run of this program has started. Its value is the scratch folder.
const runMark = "BENCH_RUN"

// leaveNothing ends what was started and still runs, and removes the scratch folder.
func (b *bench) leaveNothing() {
	if n := killMarked(runMark + "=" + b.dir); n > 0 {
		b.say("%d processes were left, and are killed", n)
	}
	_ = os.RemoveAll(b.dir)
}

// moveHome gives all that is started a home of its own: no daemon of the user's is talked to, and none of ours outlives its folder.
func (b *bench) moveHome() error {
	if err := os.Setenv(runMark, b.dir); err != nil {
		return err
	}
	for name, dir := range map[string]string{"HOME": "home", "MUSTER_HOME": "m", "PM2_HOME": "pm2"} {
		path := filepath.Join(b.dir, dir)
		if err := errors.Join(os.MkdirAll(path, 0o700), os.Setenv(name, path)); err != nil {
			return err
		}
	}
	return nil
}

// wants tells whether a contender was asked for. One that was not has no figures.
func (b *bench) wants(name string) bool { return strings.Contains(name, b.only) }

// say tells whoever waits for the tables what was done.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: %s\n", fmt.Sprintf(format, args...))
}

func (b *bench) runAll(ctx context.Context, chosen []benchmark) error {
	rounds := b.rounds
	for _, c := range chosen {
		if b.rounds = rounds; rounds == 0 {
			b.rounds = c.rounds
		}
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

// choose returns the benchmarks of these names.
func choose(names []string) ([]benchmark, error) {
	if slices.Equal(names, []string{everything}) {
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

func (b *bench) findSelf() (err error) {
	b.self, err = os.Executable()
	return err
}

// nodeFirst is a PATH in which node is the one that is measured.
func (b *bench) nodeFirst() string {
	return "PATH=" + filepath.Dir(b.node) + string(os.PathListSeparator) + os.Getenv("PATH")
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
