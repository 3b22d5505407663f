package logs

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
)

// The fixed keys of attributes.
const (
	KeyApp    = "app"
	KeySlot   = "slot"
	KeyWorker = "worker"
	KeyGen    = "gen"
	KeyPID    = "pid"
)

// NewHandler returns the handler of the master's own records. As text a record is one line, whose message stands below the
// workers' lines of a sink with the same Options:
//
//	api/0 | listening on :3000
//	muster: worker exited slot=0 worker=12 pid=99
//	muster: warning: worker blocked slot=1
//
// As json it is an object with time, level, msg and the attributes. Each record is one Write; w may be a Sink.
func NewHandler(w io.Writer, o Options) slog.Handler {
	level := o.Level
	if level == nil {
		level = slog.LevelInfo
	}
	if o.Format == FormatJSON {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: jsonTime})
	}
	colored := o.colored(w, os.Getenv)
	return &textHandler{level: level, style: newStyle(colored, o), stamps: o.Timestamps, journal: o.Journal, out: &lockedWriter{w: w}}
}

// jsonTime writes the time of a record in the form that workers' lines have.
func jsonTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		a.Value = slog.StringValue(a.Value.Time().Format(TimeForm))
	}
	return a
}

// lockedWriter is shared by a handler and those derived from it.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// textHandler writes records for humans.
type textHandler struct {
	level   slog.Leveler
	style   style
	stamps  bool
	journal bool
	out     *lockedWriter
	attrs   string // those of WithAttrs, written out
	groups  string // open groups, as "a.b."
}

func (h *textHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	b := h.begin(nil, r)
	b = append(b, h.style.level(r.Level)...)
	b = append(b, inLine(r.Message)...)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = h.style.appendAttr(b, h.groups, a)
		return true
	})
	_, err := h.out.Write(append(b, '\n'))
	return err
}

func (h *textHandler) begin(b []byte, r slog.Record) []byte {
	if h.journal {
		b = append(b, '<', priorityOf(r.Level), '>')
	}
	if h.stamps {
		b = r.Time.AppendFormat(b, TimeForm)
		b = append(b, ' ')
	}
	return append(b, h.style.label...)
}

func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	b := []byte(h.attrs)
	for _, a := range attrs {
		b = h.style.appendAttr(b, h.groups, a)
	}
	derived := *h
	derived.attrs = string(b)
	return &derived
}

func (h *textHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	derived := *h
	derived.groups += name + "."
	return &derived
}
