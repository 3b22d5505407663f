package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/daemon"
	"github.com/musterd/muster/internal/logread"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/rundir"
	"github.com/spf13/cobra"
)

type logsCommand struct {
	follow  bool
	last    string
	since   string
	out     bool
	err     bool
	worker  string
	grep    string
	json    bool
	raw     bool
	times   bool
	noColor bool
	dir     string

	stdout *os.File
}

func newLogs(stdout *os.File) *cobra.Command {
	l := &logsCommand{stdout: stdout}
	cmd := &cobra.Command{
		Use:     "logs [NAME...]",
		Aliases: []string{"log"},
		Short:   "Show what apps have written",
		Long: `Show what apps have written, of all apps if none is named, in the order of time. Apps that do not run any more have logs, too.

What was put aside and compressed is read as far as need be.`,
		Example: `  muster logs api -f                  the last lines, and then what comes
  muster logs api --since 10m --err   what workers wrote to stderr in the last ten minutes
  muster logs -n 50 api web
  muster logs --log-dir ./logs        a folder of muster run --log-dir`,
		RunE: func(cmd *cobra.Command, args []string) error { return l.run(cmd.Context(), args) },
	}
	f := cmd.Flags()
	f.BoolVarP(&l.follow, "follow", "f", false, "go on with what is written, until ^C")
	f.StringVarP(&l.last, "lines", "n", "", "the last `N` lines of each app, or all (default 20; with --since or --grep all)")
	f.StringVar(&l.since, "since", "", "nothing older: `10m`, 2d, 15:04, 2026-07-01, or a time as it stands in the log")
	f.BoolVar(&l.out, "out", false, "only what workers wrote to stdout")
	f.BoolVar(&l.err, "err", false, "only what they wrote to stderr")
	f.StringVar(&l.worker, "worker", "", "only that worker: `SLOT` as 0, or the worker's own number as #12")
	f.StringVar(&l.grep, "grep", "", "only lines that the regular `EXPRESSION` matches")
	f.BoolVar(&l.json, "json", false, "each line as an object")
	f.BoolVar(&l.raw, "raw", false, "lines as they were written, with nothing before them")
	f.BoolVarP(&l.times, "time", "t", false, "each line with its time")
	f.BoolVar(&l.noColor, "no-color", false, "write no colors, not even to a terminal")
	f.StringVar(&l.dir, "log-dir", "", "read the log files in `DIR`, whosever they are")
	f.SortFlags = false
	return cmd
}

func (l *logsCommand) run(ctx context.Context, args []string) error {
	query, err := l.query(time.Now())
	if err != nil {
		return err
	}
	sources, err := l.sources(ctx, args)
	if err != nil {
		return err
	}
	tail, err := logread.Open(sources, l.follow)
	if err != nil {
		return err
	}
	defer tail.Close()
	p := l.printer(sources)
	past, err := tail.Past(ctx, query)
	if err != nil {
		return err
	}
	for line := range past {
		if err := p.print(line); err != nil {
			return quietly(err)
		}
	}
	if err := p.flush(); err != nil || !l.follow {
		return quietly(err)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	query.Since = time.Time{}
	return quietly(tail.Follow(ctx, query, p.printNow))
}

// quietly is no error if nobody reads the output any more.
func quietly(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// defaultLast is how many lines are shown of an app.
const defaultLast = 20

func (l *logsCommand) query(now time.Time) (q logread.Query, err error) {
	switch {
	case l.last == "all":
		q.Last = -1
	case l.last != "":
		n, err := strconv.ParseUint(l.last, 10, 31)
		if err != nil {
			return q, &app.Error{Field: "--lines", Value: l.last, Reason: "is not a number of lines", Hint: "write a number, or all"}
		}
		q.Last = int(n)
	case l.since != "" || l.grep != "":
		q.Last = -1
	default:
		q.Last = defaultLast
	}
	if q.Since, err = sinceTime(l.since, now); err != nil {
		return q, err
	}
	q.Keep, err = l.filter()
	return q, err
}

// sinceTime is the moment that text means.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := app.ParseDuration(text); err == nil {
		return now.Add(-d.Duration()), nil
	}
	for _, form := range []string{"15:04", "15:04:05"} {
		if clock, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return onDayOf(now, clock), nil
		}
	}
	for _, form := range []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, &app.Error{Field: "--since", Value: text, Reason: "is no time", Hint: "write 10m, 2d, 15:04 or 2026-07-01"}
}

// onDayOf is the last time that the clock showed that.
func onDayOf(now, clock time.Time) time.Time {
	y, m, d := now.Date()
	at := time.Date(y, m, d, clock.Hour(), clock.Minute(), clock.Second(), 0, time.Local)
	if at.After(now) {
		at = at.AddDate(0, 0, -1)
	}
	return at
}

// filter tells which lines are wanted besides those of the right time.
func (l *logsCommand) filter() (func(logread.Line) bool, error) {
	var wants []func(logread.Line) bool
	if l.out || l.err {
		wants = append(wants, func(line logread.Line) bool {
			return l.out && line.Source.Stream == logs.Stdout || l.err && line.Source.Stream == logs.Stderr
		})
	}
	if l.worker != "" {
		isOne, err := ofWorker(l.worker)
		if err != nil {
			return nil, err
		}
		wants = append(wants, isOne)
	}
	if l.grep != "" {
		re, err := regexp.Compile(l.grep)
		if err != nil {
			return nil, &app.Error{Field: "--grep", Value: l.grep, Reason: err.Error(), Hint: `write \. for a dot, as in any regular expression`}
		}
		wants = append(wants, func(line logread.Line) bool { return re.MatchString(line.Text) })
	}
	return func(line logread.Line) bool {
		return !slices.ContainsFunc(wants, func(want func(logread.Line) bool) bool { return !want(line) })
	}, nil
}

func ofWorker(text string) (func(logread.Line) bool, error) {
	number, byID := text, false
	if text[0] == '#' {
		number, byID = text[1:], true
	}
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return nil, &app.Error{Field: "--worker", Value: text, Reason: "is not a worker", Hint: "write the number of its slot, as 0, or the worker's own, as #12: see muster show"}
	}
	return func(line logread.Line) bool {
		if line.Source.Stream == "" {
			return false
		}
		return byID && line.Source.Worker == n || !byID && line.Source.Slot == int(n)
	}, nil
}

// sources finds where the lines of the apps are.
func (l *logsCommand) sources(ctx context.Context, args []string) ([]logread.Source, error) {
	if l.dir != "" {
		s := logread.Source{App: filepath.Base(l.dir), Any: true, Dir: l.dir}
		if len(args) > 0 {
			return nil, &usageError{"--log-dir reads a folder, whosever it is", "name either the folder or apps"}
		}
		if !s.Exists() {
			return nil, &failure{message: "there is no log file in " + l.dir, hint: "name the folder that muster run --log-dir has", code: exitNotFound}
		}
		return []logread.Source{s}, nil
	}
	return appSources(ctx, args)
}

func appSources(ctx context.Context, args []string) ([]logread.Source, error) {
	if len(args) == 0 {
		args = []string{everyApp}
	}
	var sources []logread.Source
	for _, arg := range args {
		subjects, d, err := choose(ctx, []string{arg})
		if d != nil {
			d.Close()
		}
		if err != nil {
			left, ok := leftBehind(arg)
			if !ok {
				return nil, err
			}
			sources = append(sources, left)
			continue
		}
		for _, s := range subjects {
			source, err := s.logs()
			if err != nil && len(subjects) == 1 && len(args) == 1 {
				return nil, err
			}
			if err == nil && !slices.ContainsFunc(sources, func(other logread.Source) bool { return other.App == s.name }) {
				sources = append(sources, source)
			}
			s.close()
		}
	}
	if len(sources) == 0 {
		return nil, &failure{message: "no app has log files", hint: "see muster run --log-dir", code: exitNotFound}
	}
	return sources, nil
}

// leftBehind are the files of an app that the daemon does not keep any more.
func leftBehind(name string) (logread.Source, bool) {
	state, err := rundir.FindStateDir()
	if err != nil || isDirectory(name) {
		return logread.Source{}, false
	}
	s := logread.Source{App: name, Dir: daemon.LogDir(state, name)}
	return s, s.Exists()
}

// logs is where the app's lines are.
func (s subject) logs() (logread.Source, error) {
	source := logread.Source{App: s.name}
	switch {
	case s.running():
		source.Dir, source.Files = s.app.Logs.Dir, s.app.Logs.Files
		if len(source.Files) == 0 {
			source.Dir, source.Live = "", client.New(s.info.Socket).Logs
		}
	case s.entry != nil:
		source = s.keptLogs()
	default:
		return source, s.notRunning()
	}
	return source, nil
}

// keptLogs is where the daemon has an app write that does not run now.
func (s subject) keptLogs() logread.Source {
	source := logread.Source{App: s.name}
	if state, err := rundir.FindStateDir(); err == nil {
		source.Dir = daemon.LogDir(state, s.name)
	}
	if s.entry.Launch == nil {
		return source
	}
	spec := s.entry.Launch.Spec
	in := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		if filepath.IsAbs(spec.Cwd) {
			return filepath.Join(spec.Cwd, path)
		}
		return filepath.Join(s.entry.Launch.Base, spec.Cwd, path)
	}
	source.Dir = cmp.Or(in(spec.LogDir), source.Dir)
	for _, path := range []string{spec.LogOut, spec.LogErr} {
		if path != "" {
			source.Files = append(source.Files, in(path))
		}
	}
	return source
}

// linePrinter writes lines.
type linePrinter struct {
	*logs.Printer
	format logs.Format
	many   bool // apps
	out    *bufio.Writer
	buffer []byte
}

func (l *logsCommand) printer(sources []logread.Source) *linePrinter {
	o := logs.Options{Format: logs.FormatText, Timestamps: l.times, Color: logs.ColorNever}
	switch {
	case l.json:
		o.Format = logs.FormatJSON
	case l.raw:
		o.Format = logs.FormatRaw
	case (&output{format: "text", noColor: l.noColor, stdout: l.stdout}).color():
		o.Color = logs.ColorAlways
	}
	for _, s := range sources {
		o.Width = max(o.Width, len(s.App)+len("/0"))
	}
	return &linePrinter{Printer: logs.NewPrinter(o), format: o.Format, many: len(sources) > 1, out: bufio.NewWriterSize(l.stdout, 64<<10)}
}

func (p *linePrinter) print(line logread.Line) error {
	b := p.buffer[:0]
	switch {
	case p.format == logs.FormatRaw:
		b = append(b, line.Text...)
		if !line.Part {
			b = append(b, '\n')
		}
	case p.format == logs.FormatJSON && line.Raw != "" && line.Raw[0] == '{' && json.Valid([]byte(line.Raw)):
		b = append(append(b, line.Raw...), '\n')
	case p.format == logs.FormatJSON && line.Master:
		text, _ := json.Marshal(masterLine{line.Time.Format(logs.TimeForm), line.Source.App, line.Text})
		b = append(append(b, text...), '\n')
	case line.Master && p.many:
		b = p.Append(b, line.Source, line.Time, "muster: "+line.Text, false)
	case line.Master:
		b = p.AppendMaster(b, line.Time, line.Text)
	default:
		b = p.Append(b, line.Source, line.Time, line.Text, line.Part)
	}
	p.buffer = b
	_, err := p.out.Write(b)
	return err
}

// masterLine is a line of the master's, where its log is text.
type masterLine struct {
	Time string `json:"time"`
	App  string `json:"app"`
	Msg  string `json:"msg"`
}

// printNow writes lines that somebody waits for.
func (p *linePrinter) printNow(lines []logread.Line) error {
	for _, line := range lines {
		if err := p.print(line); err != nil {
			return err
		}
	}
	return p.flush()
}

func (p *linePrinter) flush() error {
	if err := p.out.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
