package logs

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var api0 = Source{App: "api", Slot: 0, Worker: 12, PID: 99, Stream: Stdout}

func TestEncoder(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 12, 30, 0, 42000, time.UTC)
	spare := Source{App: "api", Slot: -1, Worker: 3, PID: 4, Stream: Stderr}
	tests := []struct {
		name      string
		src       Source
		options   Options
		colored   bool
		line      string
		continued bool
		want      string
	}{
		{name: "text", src: api0, options: Options{Width: 5}, line: "hello", want: "api/0 | hello\n"},
		{name: "wider", src: api0, options: Options{Width: 7}, line: "", want: "api/0   | \n"},
		{name: "label wider than width", src: api0, options: Options{Width: 1}, line: "x", want: "api/0 | x\n"},
		{name: "colour", src: api0, options: Options{Width: 5}, colored: true, line: "x", want: "\x1b[36mapi/0 |\x1b[0m x\n"},
		{name: "binary", src: api0, options: Options{Width: 5}, line: "\xff\x00", want: "api/0 | \xff\x00\n"},
		{name: "no slot", src: spare, options: Options{Width: 5}, line: "x", want: "api   | x\n"},
		{name: "raw", src: api0, options: Options{Format: FormatRaw, Timestamps: true, Details: true}, line: "x\xff", want: "x\xff\n"},
		{name: "time", src: api0, options: Options{Width: 5, Timestamps: true}, line: "x", want: "2026-07-01T12:30:00.000042Z api/0 | x\n"},
		{name: "file", src: api0, options: Options{Timestamps: true, Details: true}, line: "x", want: "2026-07-01T12:30:00.000042Z api/0 12 out | x\n"},
		{name: "file, no time", src: spare, options: Options{Details: true}, line: "x", want: "api 3 err | x\n"},
		{name: "file, continued", src: api0, options: Options{Details: true}, line: "x", continued: true, want: "api/0 12 out + x\n"},
		{name: "journal", src: api0, options: Options{Width: 5, Journal: true}, line: "x", want: "<6>api/0 | x\n"},
		{name: "journal, priority of its own", src: api0, options: Options{Width: 5, Journal: true}, line: "<3>x", want: "<3>api/0 | x\n"},
		{name: "journal, no priority", src: api0, options: Options{Width: 5, Journal: true}, line: "<8>x", want: "<6>api/0 | <8>x\n"},
		{
			name: "json", src: api0, options: Options{Format: FormatJSON}, line: "a\"\t\xffü",
			want: `{"time":"2026-07-01T12:30:00.000042Z","app":"api","slot":0,"worker":12,"pid":99,"stream":"stdout","msg":"a\"\t\ufffdü"}` + "\n",
		},
		{
			name: "json continued", src: spare, options: Options{Format: FormatJSON}, line: "x", continued: true,
			want: `{"time":"2026-07-01T12:30:00.000042Z","app":"api","slot":-1,"worker":3,"pid":4,"stream":"stderr","msg":"x","continued":true}` + "\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEncoder(tt.src, tt.options, tt.colored)
			e.at(now)
			if diff := cmp.Diff(tt.want, string(e.appendLine(nil, []byte(tt.line), tt.continued))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSlotColor(t *testing.T) {
	t.Parallel()
	for slot := range 100 {
		if slotColor(slot) == slotColor(slot+1) {
			t.Errorf("slots %d and %d have the same colour", slot, slot+1)
		}
	}
	if slotColor(-1) == "" {
		t.Error("no slot, no colour")
	}
}

func FuzzAppendJSON(f *testing.F) {
	for _, seed := range []string{"", "plain", "\"\\\n\r\t\x00\x1f\x7f", "ü😀\u2028", "\xff\xc3", "\xed\xa0\x80", "\uFFFD"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		quoted := append(appendJSON([]byte{'"'}, in), '"')
		var got string
		if err := json.Unmarshal(quoted, &got); err != nil {
			t.Fatalf("%q: %v", quoted, err)
		}
		if want := string([]rune(string(in))); got != want || !utf8.Valid(quoted) || bytes.ContainsRune(quoted, '\n') {
			t.Errorf("%q became %q", in, got)
		}
	})
}

func TestColored(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	none := func(string) string { return "" }
	tests := []struct {
		color Color
		want  bool
	}{{"", false}, {ColorAuto, false}, {ColorNever, false}, {ColorAlways, true}}
	for _, tt := range tests {
		if got := (Options{Color: tt.color}).colored(&b, none); got != tt.want {
			t.Errorf("colour %q on no terminal: %v", tt.color, got)
		}
	}
}
