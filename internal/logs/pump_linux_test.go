package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func newPipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func newStream(t testing.TB) (r *Reader, w *os.File) {
	t.Helper()
	r, fd, err := Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w = os.NewFile(uintptr(fd), "worker's end")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// startPump pumps r until the end of the test; wait gives what Pump returned.
func startPump(t testing.TB, r *Reader, src Source, sink *Sink, tail *Ring) (wait func() error) {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- Pump(r, src, sink, tail) }() // ends at EOF or when the test's clean-up closes r
	return sync.OnceValue(func() error { return <-result })
}

// writes passes what is written to it on.
type writes chan string

func (w writes) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

func TestPump(t *testing.T) {
	t.Parallel()
	r, w := newStream(t)
	var b bytes.Buffer
	ring := NewRing(2, 100)
	wait := startPump(t, r, api0, NewSink(&b, Options{}), ring)
	mustWrite(t, w, "one\ntwo\n\xffthr")
	mustWrite(t, w, "ee\nunfinished")
	w.Close()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("api/0 | one\napi/0 | two\napi/0 | \xffthree\napi/0 | unfinished\n", b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"\xffthree", "unfinished"}, ring.Lines()); diff != "" {
		t.Errorf("ring (-want +got):\n%s", diff)
	}
	if err := r.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("pump left its pipe open: %v", err)
	}
}

func TestPumpJSON(t *testing.T) {
	t.Parallel()
	r, w := newStream(t)
	var b bytes.Buffer
	wait := startPump(t, r, api0, NewSink(&b, Options{Format: FormatJSON}), nil)
	mustWrite(t, w, "a\xff\n"+strings.Repeat("x", MaxLine)+"y\n")
	w.Close()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	var msgs []string
	var continued []bool
	for d := json.NewDecoder(&b); d.More(); {
		var record struct {
			Msg       string
			Continued bool
		}
		if err := d.Decode(&record); err != nil {
			t.Fatal(err)
		}
		msgs, continued = append(msgs, record.Msg), append(continued, record.Continued)
	}
	if !cmp.Equal(msgs, []string{"a\uFFFD", strings.Repeat("x", MaxLine), "y"}) || !cmp.Equal(continued, []bool{false, true, false}) {
		t.Errorf("%d messages, continued %v", len(msgs), continued)
	}
}

// TestPumpIsPrompt gets each line while the pipe stays open, also when there is a second holder of the write end.
func TestPumpIsPrompt(t *testing.T) {
	t.Parallel()
	r, w := newStream(t)
	fd, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	second := os.NewFile(uintptr(fd), "second holder")
	defer second.Close()
	out := make(writes)
	wait := startPump(t, r, api0, NewSink(out, Options{}), nil)
	mustWrite(t, w, "a\nb")
	if got := <-out; got != "api/0 | a\n" {
		t.Errorf("got %q", got)
	}
	w.Close()
	mustWrite(t, second, "c\n")
	if got := <-out; got != "api/0 | bc\n" {
		t.Errorf("got %q", got)
	}
	second.Close()
	if err := wait(); err != nil {
		t.Error(err)
	}
}

func TestPumpClosedEarly(t *testing.T) {
	t.Parallel()
	r, w := newStream(t)
	out := make(writes)
	wait := startPump(t, r, api0, NewSink(out, Options{}), nil)
	mustWrite(t, w, "a\nunfinished")
	<-out
	r.Close()
	if got := <-out; got != "api/0 | unfinished\n" {
		t.Errorf("got %q", got)
	}
	if err := wait(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestPumpAnyChunks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		stream := genStream(rt)
		chunks := genChunks(rt, stream)
		r, w := newStream(t)
		var b bytes.Buffer
		wait := startPump(t, r, api0, NewSink(&b, Options{}), nil)
		for _, chunk := range chunks {
			mustWrite(t, w, chunk)
		}
		w.Close()
		if err := wait(); err != nil {
			rt.Fatal(err)
		}
		var want strings.Builder
		for _, part := range cutSimply(stream) {
			want.WriteString("api/0 | " + part.Text + "\n")
		}
		if b.String() != want.String() {
			rt.Fatalf("got %d bytes, want %d", b.Len(), want.Len())
		}
	})
}

// TestPumpsDoNotInterleave merges the streams of several workers into a pipe, where a torn write would show.
func TestPumpsDoNotInterleave(t *testing.T) {
	t.Parallel()
	const workers, lines = 4, 2000
	outR, outW := newPipe(t)
	sink := NewSink(outW, Options{})
	master := NewHandler(sink, Options{})
	var all sync.WaitGroup
	for slot := range workers {
		for _, stream := range []string{Stdout, Stderr} {
			r, w := newStream(t)
			wait := startPump(t, r, Source{App: "a", Slot: slot, Stream: stream}, sink, nil)
			all.Go(func() { writeNumbered(w, stream, lines) })
			all.Go(func() { _ = wait() })
		}
	}
	all.Go(func() {
		for i := range lines {
			record := testRecord(fmt.Sprintf("record %d %s", i, pad(i)))
			_ = master.Handle(t.Context(), record)
		}
	})
	go func() { // ends when all have written
		all.Wait()
		outW.Close()
	}()
	checkNumbered(t, outR, 2*workers+1, lines)
}

func pad(i int) string { return strings.Repeat("z", i*i%301) + "." }

// writeNumbered writes numbered lines in pieces that end anywhere, and closes w.
func writeNumbered(w *os.File, stream string, lines int) {
	defer w.Close()
	var b bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&b, "%s %d %s\n", stream, i, pad(i))
		if b.Len() > 700 {
			_, _ = w.Write(b.Next(333))
		}
	}
	_, _ = w.Write(b.Bytes())
}

// checkNumbered reads lines until EOF; those of each stream must be whole and in order.
func checkNumbered(t *testing.T, r io.Reader, streams, lines int) {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]int{}
	for line := range strings.Lines(string(text)) {
		prefix, rest := line[:8], line[8:]
		var name, padding string
		var i int
		if _, err := fmt.Sscanf(rest, "%s %d %s\n", &name, &i, &padding); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if i != next[prefix+name] || padding != pad(i) {
			t.Fatalf("after %d lines of %s came %q", next[prefix+name], prefix+name, line)
		}
		next[prefix+name]++
	}
	if len(next) != streams {
		t.Errorf("%d streams", len(next))
	}
	for name, n := range next {
		if n != lines {
			t.Errorf("%d lines of %s", n, name)
		}
	}
}

// TestReaderGone writes on after the reader of the sink's pipe has gone: the worker is neither killed nor blocked.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	outR, outW := newPipe(t)
	outR.Close()
	var errs []error
	sink := NewSink(outW, Options{OnError: func(err error) { errs = append(errs, err) }})
	r, w := newStream(t)
	ring := NewRing(1, 100)
	wait := startPump(t, r, api0, sink, ring)
	for range 1000 {
		mustWrite(t, w, strings.Repeat("x", 1000)+"\n")
	}
	mustWrite(t, w, "last\n")
	w.Close()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if len(errs) != 1 || !errors.Is(errs[0], syscall.EPIPE) {
		t.Errorf("reported %v", errs)
	}
	if got := ring.Lines(); !cmp.Equal(got, []string{"last"}) {
		t.Errorf("ring %q", got)
	}
}

// fails is a writer that fails as often as there are errors in it.
type fails struct {
	errs []error
	bytes.Buffer
}

func (f *fails) Write(p []byte) (int, error) {
	if len(f.errs) == 0 {
		return f.Buffer.Write(p)
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	if err == nil {
		return f.Buffer.Write(p)
	}
	return 0, err
}

func TestSinkReportsOncePerFailure(t *testing.T) {
	t.Parallel()
	full := syscall.ENOSPC
	w := &fails{errs: []error{full, full, nil, full}}
	reports := 0
	s := NewSink(w, Options{OnError: func(err error) {
		if reports++; !errors.Is(err, full) {
			t.Errorf("reported %v", err)
		}
	}})
	for range 5 {
		_, _ = s.Write([]byte("x\n"))
	}
	if reports != 2 || w.String() != "x\nx\n" {
		t.Errorf("%d reports, wrote %q", reports, w.String())
	}
}

// TestReportToTheSink reports a failure by a record to the sink that failed.
func TestReportToTheSink(t *testing.T) {
	t.Parallel()
	w := &fails{errs: []error{syscall.ENOSPC}}
	var s *Sink
	s = NewSink(w, Options{OnError: func(err error) {
		_ = NewHandler(s, Options{}).Handle(t.Context(), testRecord("log lost"))
	}})
	_, _ = s.Write([]byte("x\n"))
	if got := w.String(); got != "muster: log lost\n" {
		t.Errorf("got %q", got)
	}
}

// TestSinkBlocks pauses the sink's writer: the worker's pipe fills up, nothing else happens, and nothing is lost.
func TestSinkBlocks(t *testing.T) {
	t.Parallel()
	g := newGate()
	r, w := newStream(t)
	ring := NewRing(0, 0)
	wait := startPump(t, r, api0, NewSink(g, Options{}), ring)
	mustWrite(t, w, "x\n")
	<-g.writing
	if got := ring.Lines(); !cmp.Equal(got, []string{"x"}) { // does not wait for the writer
		t.Errorf("ring %q", got)
	}
	if err := unix.SetNonblock(int(w.Fd()), true); err != nil {
		t.Fatal(err)
	}
	lines := 1
	for ; ; lines++ {
		if _, err := unix.Write(int(w.Fd()), []byte("x\n")); errors.Is(err, unix.EAGAIN) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	close(g.open)
	w.Close()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(g.String(), "api/0 | x\n"); got != lines {
		t.Errorf("%d lines of %d", got, lines)
	}
}

func TestPipe(t *testing.T) {
	t.Parallel()
	r, fd, err := Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer unix.Close(fd)
	status, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || status&unix.O_NONBLOCK != 0 {
		t.Errorf("write end: flags %x, error %v", status, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("write end: descriptor flags %x, error %v", flags, err)
	}
	conn, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Control(func(fd uintptr) {
		status, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil || status&unix.O_NONBLOCK == 0 {
			t.Errorf("read end: flags %x, error %v", status, err)
		}
	}); err != nil {
		t.Error(err)
	}
}

// startWorker starts a process that writes so many lines, and closes w here.
func startWorker(t testing.TB, w *os.File, lines int) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", roleVar, lines))
	cmd.Stdout = w
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return cmd
}

// count counts what is written.
type count struct{ lines, writes int }

func (c *count) Write(p []byte) (int, error) {
	c.lines += bytes.Count(p, []byte{'\n'})
	c.writes++
	return len(p), nil
}

func TestWorkerFlatOut(t *testing.T) {
	t.Parallel()
	const lines = 50_000
	r, w := newStream(t)
	var c count
	wait := startPump(t, r, api0, NewSink(&c, Options{Format: FormatJSON}), NewRing(0, 0))
	cmd := startWorker(t, w, lines)
	if err := wait(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if c.lines != lines {
		t.Errorf("%d lines of %d", c.lines, lines)
	}
}

// BenchmarkWorker measures how fast a process writes 200-byte lines: to a reader that only copies, and to a pump.
func BenchmarkWorker(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	b.Run("copy", func(b *testing.B) {
		benchWorker(b, func(r *Reader) error { return copyPlainly(null, r) })
	})
	for _, format := range []Format{FormatText, FormatJSON} {
		b.Run(string(format), func(b *testing.B) {
			sink := NewSink(null, Options{Format: format})
			benchWorker(b, func(r *Reader) error { return Pump(r, api0, sink, NewRing(0, 0)) })
		})
	}
}

func copyPlainly(w io.Writer, r *Reader) error {
	defer r.Close()
	fd, err := r.duplicate()
	if err != nil {
		return err
	}
	in := os.NewFile(uintptr(fd), "stream")
	defer in.Close()
	buf := make([]byte, chunkSize)
	for {
		n, err := in.Read(buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
	}
}

func benchWorker(b *testing.B, read func(*Reader) error) {
	b.SetBytes(200)
	b.ReportAllocs()
	before := cpuTime(b)
	defer func() { b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "reader-cpu-ns/op") }()
	r, w := newStream(b)
	cmd := startWorker(b, w, b.N)
	if err := read(r); err != nil {
		b.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Error(err)
	}
}

// cpuTime is what this process has used so far, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

// BenchmarkEncode measures the work on a line alone.
func BenchmarkEncode(b *testing.B) {
	chunk := bytes.Repeat(append(bytes.Repeat([]byte{'x'}, 199), '\n'), chunkSize/200)
	for _, format := range []Format{FormatText, FormatJSON} {
		b.Run(string(format), func(b *testing.B) {
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			sink := NewSink(io.Discard, Options{Format: format})
			p := &pump{enc: sink.encoder(api0), sink: sink, tail: NewRing(0, 0)}
			p.cut.emit = p.line
			for b.Loop() {
				p.cut.feed(chunk)
			}
		})
	}
}
