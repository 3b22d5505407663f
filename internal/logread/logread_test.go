package logread_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/logread"
	"github.com/musterd/muster/internal/logs"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func TestParse(t *testing.T) {
	t.Parallel()
	worker := logs.Source{App: "api", Slot: 0, Worker: 12, Stream: logs.Stderr}
	unknown := logs.Source{App: "x", Slot: -1}
	at := noon.Add(42 * time.Microsecond)
	tests := []struct {
		name, raw string
		want      logread.Line
	}{
		{"text", "2026-07-01T12:00:00.000042Z api/0 12 err | a | b", logread.Line{Time: at, Source: worker, Text: "a | b"}},
		{"no time", "api/0 12 err | a", logread.Line{Source: worker, Text: "a"}},
		{"part", "api/0 12 err + ", logread.Line{Source: worker, Part: true}},
		{"spare", "api 3 out | a", logread.Line{Source: logs.Source{App: "api", Slot: -1, Worker: 3, Stream: logs.Stdout}, Text: "a"}},
		{"master", "2026-07-01T12:00:00.000042Z muster - - | serving", logread.Line{Time: at, Source: unknown, Master: true, Text: "serving"}},
		{
			"json", `{"time":"2026-07-01T12:00:00.000042Z","app":"api","slot":0,"worker":12,"pid":99,"stream":"stderr","msg":"a\tb","continued":true}`,
			logread.Line{Time: at, Source: logs.Source{App: "api", Worker: 12, PID: 99, Stream: logs.Stderr}, Part: true, Text: "a\tb"},
		},
		{
			"json of the master", `{"time":"2026-07-01T12:00:00.000042Z","level":"WARN","msg":"worker exited","slot":0,"exit":"exit status 3"}`,
			logread.Line{Time: at, Source: unknown, Master: true, Text: `warning: worker exited slot=0 exit="exit status 3"`},
		},
	}
	for _, raw := range []string{
		"", "a", "api/0 12 err", "api/0 12 err |", "api/0 x err | a", "api/0 12 both | a", "api/x 12 err | a", `{"msg":"a"}`, `{`,
		`{"time":"2026-07-01T12:00:00Z","msg":"a line of a worker"}`, "2026-07-01 api/0 12 err | a",
	} {
		tests = append(tests, struct {
			name, raw string
			want      logread.Line
		}{"as it is: " + raw, raw, logread.Line{Source: unknown, Text: raw}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.want.Raw = tt.raw
			if diff := cmp.Diff(tt.want, logread.Parse([]byte(tt.raw), "x")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestParseReadsWhatIsWritten takes any line through both forms.
func TestParseReadsWhatIsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := logread.Line{
			Time: noon.Add(time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "µs")) * time.Microsecond),
			Source: logs.Source{
				App: rapid.StringMatching(`[a-z0-9][a-z0-9._-]{0,10}`).Draw(t, "app"), Slot: rapid.IntRange(-1, 100).Draw(t, "slot"),
				Worker: rapid.Uint64Range(1, 1e6).Draw(t, "worker"), Stream: rapid.SampledFrom([]string{logs.Stdout, logs.Stderr}).Draw(t, "stream"),
			},
			Part: rapid.Bool().Draw(t, "part"), Text: strings.ReplaceAll(rapid.String().Draw(t, "text"), "\n", " "),
		}
		for _, o := range []logs.Options{{Timestamps: true, Details: true}, {Format: logs.FormatJSON}} {
			raw := logs.NewPrinter(o).Append(nil, want.Source, want.Time, want.Text, want.Part)
			want.Raw = strings.TrimSuffix(string(raw), "\n")
			if diff := cmp.Diff(want, logread.Parse([]byte(want.Raw), "other")); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		}
	})
}

// folder is a folder of logs with a clock of its own.
type folder struct {
	t   testing.TB
	dir string
	now time.Time
}

func newFolder(t testing.TB) *folder { return &folder{t: t, dir: t.TempDir(), now: noon} }

func (f *folder) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// line is the line of that number, a minute after the one before.
func (f *folder) line(slot int, stream string, n int) string {
	at := noon.Add(time.Duration(n) * time.Minute)
	src := logs.Source{App: "api", Slot: slot, Worker: uint64(slot + 1), Stream: stream}
	return string(logs.NewPrinter(logs.Options{Timestamps: true, Details: true}).Append(nil, src, at, fmt.Sprint("line ", n), false))
}

func (f *folder) lines(from, to int) string {
	var b strings.Builder
	for n := from; n < to; n++ {
		b.WriteString(f.line(n%2, logs.Stdout, n))
	}
	return b.String()
}

func (f *folder) stamp(n int) string {
	return noon.Add(time.Duration(n) * time.Minute).Format("20060102T150405.000000Z")
}

func (f *folder) past(q logread.Query) []string {
	f.t.Helper()
	tail, err := logread.Open([]logread.Source{{App: "api", Dir: f.dir}}, false)
	if err != nil {
		f.t.Fatal(err)
	}
	defer tail.Close()
	return collect(f.t, tail, q)
}

func collect(t testing.TB, tail *logread.Tail, q logread.Query) []string {
	t.Helper()
	lines, err := tail.Past(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return texts(slices.Collect(lines))
}

func texts(lines []logread.Line) []string {
	all := []string{}
	for _, l := range lines {
		all = append(all, l.Text)
	}
	return all
}

func numbers(from, to int) []string {
	all := []string{}
	for n := from; n < to; n++ {
		all = append(all, fmt.Sprint("line ", n))
	}
	return all
}

func TestPastOverArchives(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.write("out.log."+f.stamp(10), f.lines(0, 10))
	f.write("out.log."+f.stamp(20), f.lines(10, 20))
	f.write("out.log", f.lines(20, 30))
	tests := []struct {
		name string
		q    logread.Query
		want []string
	}{
		{"none", logread.Query{}, numbers(0, 0)},
		{"some", logread.Query{Last: 3}, numbers(27, 30)},
		{"over two", logread.Query{Last: 15}, numbers(15, 30)},
		{"more than there are", logread.Query{Last: 100}, numbers(0, 30)},
		{"all", logread.Query{Last: -1}, numbers(0, 30)},
		{"since", logread.Query{Last: -1, Since: noon.Add(15 * time.Minute)}, numbers(15, 30)},
		{"the last since", logread.Query{Last: 3, Since: noon.Add(15 * time.Minute)}, numbers(27, 30)},
		{"fewer since", logread.Query{Last: 30, Since: noon.Add(15 * time.Minute)}, numbers(15, 30)},
		{"filtered", logread.Query{Last: 6, Keep: func(l logread.Line) bool { return strings.HasSuffix(l.Text, "7") }}, []string{"line 7", "line 17", "line 27"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, f.past(tt.q)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestPastOfManyFiles merges by time, and counts the last lines over all files of an app.
func TestPastOfManyFiles(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	var even, odd strings.Builder
	for n := range 20 {
		if n%2 == 0 {
			even.WriteString(f.line(0, logs.Stdout, n))
		} else {
			odd.WriteString(f.line(1, logs.Stderr, n))
		}
	}
	f.write("0.log", even.String())
	f.write("1.log", odd.String())
	f.write("other.txt", f.lines(20, 30))
	for _, last := range []int{-1, 7} {
		want := numbers(0, 20)
		if last >= 0 {
			want = want[20-last:]
		}
		if diff := cmp.Diff(want, f.past(logread.Query{Last: last})); diff != "" {
			t.Errorf("last %d (-want +got):\n%s", last, diff)
		}
	}
}

// TestTailOfALargeFile reads backwards, through several windows.
func TestTailOfALargeFile(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	const lines = 100_000
	f.write("out.log", f.lines(0, lines))
	for _, n := range []int{1, 100, 20_000, lines} {
		if got := f.past(logread.Query{Last: n}); !slices.Equal(got, numbers(lines-n, lines)) {
			t.Errorf("last %d: %d lines, the first %v", n, len(got), got[:1])
		}
	}
}

func TestOddFiles(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.write("empty.log", "")
	f.write("raw.log", "no form\n\xff\x00\n\ntorn")
	f.write("long.log", strings.Repeat("x", 3<<20)+"\n")
	f.write("shared.log", strings.ReplaceAll(f.lines(0, 3), "api/", "other/"))
	f.write("out.log.19990101T000000.000000Z.gz", "no gzip")
	got := f.past(logread.Query{Last: 10})
	for i, text := range got {
		if len(text) > 100 {
			got[i] = fmt.Sprint(len(text))
		}
	}
	if diff := cmp.Diff([]string{fmt.Sprint(3 << 20), "no form", "\xff\x00", "", "torn"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// follower collects what Follow passes on.
type follower struct {
	tail    *logread.Tail
	mu      sync.Mutex
	lines   []string
	changed chan struct{}
	done    chan error
	stop    context.CancelFunc
}

// startFollowing shows all of the past and goes on.
func startFollowing(t testing.TB, s logread.Source) *follower {
	t.Helper()
	tail, err := logread.Open([]logread.Source{s}, true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	f := &follower{tail: tail, changed: make(chan struct{}, 1), done: make(chan error, 1), stop: stop}
	f.lines = collect(t, tail, logread.Query{Last: -1})
	go func() { // ends with ctx
		f.done <- tail.Follow(ctx, logread.Query{}, f.take)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-f.done; err != nil {
			t.Error(err)
		}
		tail.Close()
	})
	return f
}

func (f *follower) take(lines []logread.Line) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, texts(lines)...)
	select {
	case f.changed <- struct{}{}:
	default:
	}
	return nil
}

// wait waits for n lines in all.
func (f *follower) wait(t testing.TB, n int) []string {
	t.Helper()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	for {
		f.mu.Lock()
		lines := slices.Clone(f.lines)
		f.mu.Unlock()
		if len(lines) >= n {
			return lines
		}
		select {
		case <-f.changed:
		case <-timeout.C:
			t.Fatalf("%d lines of %d, the last %q", len(lines), n, lines[max(0, len(lines)-3):])
		}
	}
}

func put(t testing.TB, w *logs.File, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if _, err := fmt.Fprintf(w, "line %d\n", n); err != nil {
			t.Fatal(err)
		}
	}
}

func create(t testing.TB, path string, r logs.Rotation) *logs.File {
	t.Helper()
	w, err := logs.OpenFile(path, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// TestFollowAcrossRotations: the writer rotates every few lines, and compresses at once.
func TestFollowAcrossRotations(t *testing.T) {
	t.Parallel()
	const lines = 5000
	path := filepath.Join(t.TempDir(), "out.log")
	w := create(t, path, logs.Rotation{MaxSize: 300, Compress: true})
	put(t, w, 0, 1000)
	f := startFollowing(t, logread.Source{App: "x", Files: []string{path}})
	put(t, w, 1000, lines)
	if diff := cmp.Diff(numbers(0, lines), f.wait(t, lines)); diff != "" {
		t.Errorf("(-want +got):\n%.3000s", diff)
	}
}

// TestFollowBesideTheWriter begins at any moment.
func TestFollowBesideTheWriter(t *testing.T) {
	t.Parallel()
	const lines = 3000
	path := filepath.Join(t.TempDir(), "out.log")
	w := create(t, path, logs.Rotation{MaxSize: 2000, Compress: true})
	var writing sync.WaitGroup
	writing.Go(func() { put(t, w, 0, lines) })
	for range 10 {
		f := startFollowing(t, logread.Source{App: "x", Files: []string{path}})
		defer func() {
			if diff := cmp.Diff(numbers(0, lines), f.wait(t, lines)); diff != "" {
				t.Errorf("(-want +got):\n%.3000s", diff)
			}
		}()
	}
	writing.Wait()
}

// TestFollowOthers: files that somebody else moves away, empties or makes.
func TestFollowOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "out.log")
	f := startFollowing(t, logread.Source{App: "x", Dir: dir, Files: []string{path}})
	w := create(t, path, logs.Rotation{})
	put(t, w, 0, 10)
	f.wait(t, 10)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	put(t, w, 10, 20) // to the moved one
	if err := w.Reopen(); err != nil {
		t.Fatal(err)
	}
	put(t, w, 20, 30)
	f.wait(t, 30)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	put(t, w, 30, 32)
	f.wait(t, 32)
	put(t, create(t, filepath.Join(dir, "new.log"), logs.Rotation{}), 32, 40)
	if diff := cmp.Diff(numbers(0, 40), f.wait(t, 40)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
