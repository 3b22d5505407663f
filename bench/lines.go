package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/musterd/muster/internal/logs"
)

// Variables of a process of this program that is a worker which writes lines.
const (
	linesFor  = "BENCH_LINES_FOR"  // how long it writes
	linesDone = "BENCH_LINES_DONE" // the file for how many it wrote, and in what time
)

const lineSize = 200 // with its newline

// lineWorker writes numbered lines flat out, each by a write of its own, as most programs do. Then it tells how many, and waits for its end.
func lineWorker(d time.Duration) error {
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM, syscall.SIGINT)
	line := append(bytes.Repeat([]byte{'x'}, lineSize-1), '\n')
	n, began := 0, time.Now()
	for ; n%1000 != 0 || time.Since(began) < d; n++ {
		copy(line, fmt.Appendf(line[:0:20], "n=%012d;", n))
		if _, err := syscall.Write(1, line); err != nil {
			return err
		}
	}
	took := time.Since(began)
	path := os.Getenv(linesDone)
	err := errors.Join(os.WriteFile(path+".new", fmt.Appendf(nil, "%d %d %f", n, took, cpuSeconds(os.Getpid())), 0o600), os.Rename(path+".new", path))
	if err == nil {
		<-ends
	}
	return err
}

// lineRun is one contender in one round.
type lineRun struct {
	b       *bench
	self    string // this program, to be the worker
	dir     string
	task    []string     // for the worker, as variables
	manager int          // its process; zero: none
	log     string       // the file with the lines
	stop    func() error // ends all
}

// lineContender is a way to write lines to a file.
type lineContender struct {
	name  string
	start func(ctx context.Context, r *lineRun) error
}

var lineContenders = []lineContender{
	{"the worker's own file", startOwnFile},
	{"muster, text", startLines("text")},
	{"muster, raw", startLines("raw")},
	{"muster, json", startLines("json")},
	{"PM2", startPM2},
}

// lines lets a worker write lines to a file that it has itself, and through managers.
func lines(ctx context.Context, b *bench) ([]result, error) {
	var names []string
	for _, c := range lineContenders {
		names = append(names, c.name)
	}
	t := newTable(fmt.Sprintf("lines of %d bytes", lineSize), []column{
		{"lines/s", "%.0f"}, {"CPU of the worker, s per million lines", "%.2f"}, {"CPU of the manager, s per million lines", "%.2f"}, {"its peak memory, MB", "%.0f"}, {"lost or out of order", "%.0f"},
	}, names...)
	for range b.rounds {
		for i, c := range lineContenders {
			if !b.wants(c.name) {
				continue
			}
			if err := b.writeLines(ctx, t.rows[i], c); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return []result{t}, nil
}

func (b *bench) writeLines(ctx context.Context, row *row, c lineContender) error {
	r := &lineRun{b: b}
	var err error
	if r.self, err = os.Executable(); err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp(b.dir, "lines"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(r.dir) }()
	done := filepath.Join(r.dir, "done")
	r.task = []string{linesFor + "=" + b.time.String(), linesDone + "=" + done}
	if err := c.start(ctx, r); err != nil {
		return err
	}
	count, took, worker, err := awaitDone(ctx, done, b.time+bootTimeout)
	if err == nil {
		err = r.settle(ctx)
	}
	cpu, peak := none, none
	if r.manager != 0 {
		cpu, peak = cpuSeconds(r.manager)/float64(count)*1e6, peakMB(r.manager)
	}
	if err := errors.Join(err, r.stop()); err != nil {
		return err
	}
	wrong, err := wrongLines(r.log, count)
	row.add(float64(count)/took.Seconds(), worker/float64(count)*1e6, cpu, peak, float64(wrong))
	return err
}

// awaitDone waits until the worker has written its last line.
func awaitDone(ctx context.Context, path string, patience time.Duration) (count int, took time.Duration, cpu float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if text, err := os.ReadFile(path); err == nil {
			_, err = fmt.Sscan(string(text), &count, (*int64)(&took), &cpu)
			return count, took, cpu, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, 0, 0, fmt.Errorf("the worker does not end: %w", ctx.Err())
		}
	}
}

// settle waits until the file has not grown for a while: a manager may be behind.
func (r *lineRun) settle(ctx context.Context) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for size := int64(-1); ; {
		now, err := os.Stat(r.log)
		if err != nil || now.Size() == size {
			return err
		}
		size = now.Size()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wrongLines counts the numbers that are not where they belong in a log and its archives.
func wrongLines(path string, count int) (wrong int, err error) {
	archives, err := logs.Archives(path)
	if err != nil {
		return 0, err
	}
	next := 0
	for _, a := range archives {
		r, err := a.Open()
		if err != nil {
			return 0, err
		}
		wrong += wrongIn(r, &next)
		_ = r.Close()
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	wrong += wrongIn(f, &next)
	return wrong + max(0, count-next), nil
}

func wrongIn(r io.Reader, next *int) (wrong int) {
	for s := bufio.NewScanner(r); s.Scan(); {
		_, rest, ok := bytes.Cut(s.Bytes(), []byte("n="))
		digits, _, _ := bytes.Cut(rest, []byte{';'})
		n, err := strconv.Atoi(string(digits))
		if !ok || err != nil { // a line of the manager's own
			continue
		}
		if n != *next {
			wrong++
		}
		*next = n + 1
	}
	return wrong
}

// command runs in the folder of the round.
func (r *lineRun) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), r.task...)
	return cmd
}

// finish is a stop that ends a process and waits for it.
func finish(cmd *exec.Cmd) func() error {
	return func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // how it ends is not measured
		return nil
	}
}

func startOwnFile(_ context.Context, r *lineRun) error {
	r.log = filepath.Join(r.dir, "out.log")
	f, err := os.OpenFile(r.log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	cmd := r.command(r.self)
	cmd.Stdout = f
	r.stop = finish(cmd)
	return cmd.Start()
}

// startLines lets muster write. Its files are large so that all are kept.
func startLines(format string) func(context.Context, *lineRun) error {
	return func(_ context.Context, r *lineRun) error {
		r.log = filepath.Join(r.dir, "out.log")
		cmd := r.command(r.b.muster, "run", "--name", "bench", "-i", "1", "--handoff", "none", "--log-dir", r.dir, "--log-format", format, "--log-files", "stream",
			"--log-max-size", "256M", "--log-keep", "1000", "--log-compress=false", "--", r.self)
		r.stop = finish(cmd)
		err := cmd.Start()
		if err == nil {
			r.manager = cmd.Process.Pid
		}
		return err
	}
}

func startPM2(ctx context.Context, r *lineRun) error {
	m, err := r.b.newPM2(ctx)
	if err != nil {
		return err
	}
	m.env = append(m.env, r.task...)
	r.log = filepath.Join(r.dir, "out.log")
	r.stop = func() error { m.close(); return nil }
	_, _, err = m.run(ctx, "start", r.self, "--name", "bench", "--interpreter", "none", "--no-autorestart", "--merge-logs", "-o", r.log, "-e", filepath.Join(r.dir, "err.log"))
	if err == nil {
		r.manager, err = m.daemon(ctx, m)
	}
	if err != nil {
		m.close()
	}
	return err
}
