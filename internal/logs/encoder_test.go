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
		format    Format
		width     int
		colored   bool
		line      string
		continued bool
		want      string
	}{
		{name: "text", src: api0, width: 5, line: "hello", want: "api/0 | hello\n"},
		{name: "wider", src: api0, width: 7, line: "", want: "api/0   | \n"},
		{name: "label wider than width", src: api0, width: 1, line: "x", want: "api/0 | x\n"},
		{name: "colour", src: api0, width: 5, colored: true, line: "x", want: "\x1b[36mapi/0 |\x1b[0m x\n"},
		{name: "binary", src: api0, width: 5, line: "\xff\x00", want: "api/0 | \xff\x00\n"},
		{name: "no slot", src: spare, width: 5, line: "x", want: "api   | x\n"},
		{
			name: "json", src: api0, format: FormatJSON, line: "a\"\t\xffü",
			want: `{"time":"2026-07-01T12:30:00.000042Z","app":"api","slot":0,"worker":12,"pid":99,"stream":"stdout","msg":"a\"\t\ufffdü"}` + "\n",
		},
		{
			name: "json continued", src: spare, format: FormatJSON, line: "x", continued: true,
			want: `{"time":"2026-07-01T12:30:00.000042Z","app":"api","slot":-1,"worker":3,"pid":4,"stream":"stderr","msg":"x","continued":true}` + "\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEncoder(tt.src, tt.format, tt.width, tt.colored)
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

func TestParseFormat(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Format{"": FormatText, "text": FormatText, "json": FormatJSON} {
		if got, err := ParseFormat(name); got != want || err != nil {
			t.Errorf("%q: %q, error %v", name, got, err)
		}
	}
	if _, err := ParseFormat("xml"); err == nil {
		t.Error("xml is a format")
	}
}
