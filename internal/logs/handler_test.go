package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTextHandler(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		o    Options
		log  func(*slog.Logger)
		want string
	}{
		{
			name: "keys", log: func(l *slog.Logger) { l.Info("worker exited", KeySlot, 0, KeyWorker, uint64(12), KeyPID, 99) },
			want: "muster: worker exited slot=0 worker=12 pid=99\n",
		},
		{name: "aligned", o: Options{Width: 8}, log: func(l *slog.Logger) { l.Info("x") }, want: "muster:    x\n"},
		{name: "warning", log: func(l *slog.Logger) { l.Warn("x") }, want: "muster: warning: x\n"},
		{name: "error", log: func(l *slog.Logger) { l.Error("x") }, want: "muster: error: x\n"},
		{name: "debug off", log: func(l *slog.Logger) { l.Debug("x") }},
		{
			name: "debug on", o: Options{Level: slog.LevelDebug},
			log: func(l *slog.Logger) { l.Debug("x") }, want: "muster: debug: x\n",
		},
		{
			name: "values",
			log: func(l *slog.Logger) {
				l.Info("x", "err", errors.New("no such file"), "took", 1500*time.Millisecond, "empty", "", "nil", nil,
					"lines", "a\nb", "at", time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), "ok", true, "esc", "\x1b[2J")
			},
			want: `muster: x err="no such file" took=1.5s empty="" nil=<nil> lines="a\nb" at=2026-07-01T00:00:00Z ok=true esc="\x1b[2J"` + "\n",
		},
		{name: "message of two lines", log: func(l *slog.Logger) { l.Info("a\nb") }, want: "muster: a b\n"},
		{
			name: "groups", log: func(l *slog.Logger) {
				l.With(KeyApp, "api").WithGroup("a").With("k", 1).WithGroup("b").Info("x", "k", 2, slog.Group("c", "k", 3), slog.Group("", "k", 4))
			},
			want: "muster: x app=api a.k=1 a.b.k=2 a.b.c.k=3 a.b.k=4\n",
		},
		{
			name: "colour", o: Options{Color: ColorAlways}, log: func(l *slog.Logger) { l.Error("x", "k", 1) },
			want: "\x1b[1mmuster:\x1b[0m \x1b[31merror:\x1b[0m x \x1b[2mk=\x1b[0m1\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			tt.log(slog.New(NewHandler(&b, tt.o)))
			if diff := cmp.Diff(tt.want, b.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDerivedHandlers derives two handlers from one: neither sees the other's attributes.
func TestDerivedHandlers(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	base := slog.New(NewHandler(&b, Options{})).With("a", 1)
	one, two := base.With("b", 2), base.With("c", 3)
	one.Info("one")
	two.Info("two")
	base.Info("base")
	if diff := cmp.Diff("muster: one a=1 b=2\nmuster: two a=1 c=3\nmuster: base a=1\n", b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJSONHandler(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	slog.New(NewHandler(&b, Options{Format: FormatJSON})).Info("worker exited", KeySlot, 1, "time", "kept")
	var got struct {
		Time, Level, Msg string
		Slot             int
	}
	if err := json.Unmarshal(bytes.Replace(b.Bytes(), []byte(`"time":"kept"`), []byte(`"other":0`), 1), &got); err != nil {
		t.Fatalf("%s: %v", b.Bytes(), err)
	}
	if _, err := time.Parse(TimeForm, got.Time); err != nil || len(got.Time) < len("2026-07-01T00:00:00.000000Z") {
		t.Errorf("time %q: %v", got.Time, err)
	}
	if got.Level != "INFO" || got.Msg != "worker exited" || got.Slot != 1 {
		t.Errorf("got %+v", got)
	}
}

func testRecord(msg string) slog.Record { return slog.NewRecord(time.Time{}, slog.LevelInfo, msg, 0) }
