package master

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"syscall"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/logs"
)

// compressAfter is how old an archive of a log file is when it is compressed.
const compressAfter = time.Minute

// lastWrites is how long the end of the master waits for its log to be written.
const lastWrites = 2 * time.Second

// placeOf is where the lines of the app go.
func placeOf(cfg Config) logs.Place {
	s := cfg.App.Spec
	p := logs.Place{
		Dir: cmp.Or(s.LogDir, cfg.LogDir), Layout: logs.Layout(s.LogFiles), Out: s.LogOut, Err: s.LogErr,
		Lines: logs.Options{Format: logs.Format(s.LogFormat), Color: logs.ColorNever, Timestamps: isSet(s.LogTimestamps, true), Details: true},
	}
	if isSet(s.LogRotate, true) {
		p.Rotation = logs.Rotation{
			MaxSize: s.LogMaxSize.Bytes(), Every: s.LogRotateEvery.Duration(), Keep: s.LogKeep, MaxAge: s.LogMaxAge.Duration(),
			Compress: isSet(s.LogCompress, true), CompressAfter: compressAfter,
		}
	}
	return p
}

func isSet(field *bool, otherwise bool) bool {
	if field == nil {
		return otherwise
	}
	return *field
}

// standardOptions are those of what goes to the standard streams. The journal knows the time.
func standardOptions(cfg Config, journal bool) logs.Options {
	o := logs.Options{Format: logs.Format(cfg.LogFormat), Color: logs.ColorNever, Journal: journal}
	o.Timestamps = !journal && isSet(cfg.App.LogTimestamps, false)
	if cfg.Color {
		o.Color = logs.ColorAlways
	}
	o.Width = len(cfg.App.Name) + 1 + len(strconv.Itoa(max(0, cfg.Workers-1)))
	return o
}

func (m *Master) newOutput() *logs.Output {
	options := standardOptions(m.cfg, logs.IsJournal(m.cfg.Stdout))
	return logs.NewOutput(placeOf(m.cfg), m.cfg.Stdout, options, m.outputEvents())
}

func (m *Master) outputEvents() logs.Events {
	return logs.Events{OnError: m.outputFails, OnGap: m.outputResumes}
}

// useLog sends the master's own records to stderr, and to files if there are any. Each has a goroutine of its own: one that is stuck does not
// hold up the other.
func (m *Master) useLog(files *logs.Sink) {
	if m.records == nil {
		options := standardOptions(m.cfg, logs.IsJournal(m.cfg.Stderr))
		m.records = []*logs.Async{logs.NewAsync(logs.NewHandler(m.cfg.Stderr, options), 0)}
	}
	if files != nil {
		m.records = append(m.records, logs.NewAsync(logs.NewHandler(files, placeOf(m.cfg).Lines), 0))
	}
	heard := m.records
	if m.cfg.Quiet && files != nil {
		heard = heard[len(heard)-1:]
	}
	handlers := make([]slog.Handler, len(heard), len(heard)+1)
	for i, r := range heard {
		handlers[i] = r
	}
	if m.output != nil && files == nil {
		handlers = append(handlers, logs.NewHandler(m.output.History(), logs.HistoryOptions))
	}
	m.log = slog.New(slog.NewMultiHandler(handlers...))
}

// openLogs opens the log files, if there are any.
func (m *Master) openLogs() error {
	err := m.output.Open()
	m.useLog(m.output.Records())
	return err
}

// sinkOf is where the lines of a worker go.
func (m *Master) sinkOf(src logs.Source) *logs.Sink {
	sink, err := m.output.Sink(src)
	if err != nil {
		m.log.Error("log file not opened: its lines go to the standard output", logs.KeySlot, src.Slot, logs.KeyWorker, src.Worker, keyError, err)
	}
	return sink
}

// outputFails and outputResumes are called from anywhere but the loop.
func (m *Master) outputFails(path string, err error) {
	if errors.Is(err, syscall.EPIPE) {
		m.log.Debug("log has no reader any more", keyFile, cmp.Or(path, "stdout"))
		return
	}
	m.log.Warn("log lines are being lost", keyFile, cmp.Or(path, "stdout"), keyError, err)
}

func (m *Master) outputResumes(path string, l logs.Loss) {
	m.log.Warn("log goes on", keyFile, cmp.Or(path, "stdout"), keyLines, l.Lines, keyBytes, l.Bytes)
}

// reopenLogs is for whoever has moved the files away. A file may be stuck, so this is done beside the loop.
func (m *Master) reopenLogs() {
	output := m.output
	m.wg.Go(func() { // ends when the files are open
		err := output.Reopen()
		m.post(func() {
			switch files := output.Files(); {
			case err != nil:
				m.log.Error("log files not reopened", keyError, err)
			case len(files) == 0:
				m.log.Info("logs go to the standard streams: nothing to reopen")
			default:
				m.log.Info("log files reopened", keyFiles, len(files))
			}
		})
	})
}

// describeLogs tells where the lines of the app are.
func (m *Master) describeLogs() api.Logs {
	p := placeOf(m.cfg)
	return api.Logs{Dir: p.Dir, Format: string(p.Lines.Format), Files: m.output.Files()}
}

// flush writes out the log, for as long as its reader takes it.
func (m *Master) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWrites)
	defer cancel()
	for _, r := range m.records {
		_ = r.Close(ctx) // nobody is left to be told
	}
	_ = m.output.Flush(ctx)
}

// closeOutput closes the log files. Nobody writes any more.
func (m *Master) closeOutput() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWrites)
	defer cancel()
	_ = m.output.Close(ctx) // nobody is left to be told
}

// logsAs tells whether two apps log in the same way.
func logsAs(a, b app.App) bool {
	same := func(x, y *bool, otherwise bool) bool { return isSet(x, otherwise) == isSet(y, otherwise) }
	return a.LogDir == b.LogDir && a.LogFiles == b.LogFiles && a.LogOut == b.LogOut && a.LogErr == b.LogErr && a.LogFormat == b.LogFormat &&
		a.LogMaxSize == b.LogMaxSize && a.LogRotateEvery == b.LogRotateEvery && a.LogKeep == b.LogKeep && a.LogMaxAge == b.LogMaxAge &&
		same(a.LogTimestamps, b.LogTimestamps, true) && same(a.LogRotate, b.LogRotate, true) && same(a.LogCompress, b.LogCompress, true)
}
