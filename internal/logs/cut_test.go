package logs

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// part is what a cutter emits.
type part struct {
	Text      string
	Continued bool
}

func cutAll(chunks ...string) []part {
	var parts []part
	c := cutter{emit: func(line []byte, continued bool) { parts = append(parts, part{string(line), continued}) }}
	for _, chunk := range chunks {
		c.feed([]byte(chunk))
	}
	c.end()
	return parts
}

// cutSimply is what a cutter should do, said in another way.
func cutSimply(stream string) (parts []part) {
	if stream == "" {
		return nil
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(stream, "\n"), "\n") {
		for len(line) > MaxLine {
			n := MaxLine
			if torn := lastRune(line[:n]); torn < n && !utf8.FullRuneInString(line[torn:n]) {
				n = torn
			}
			parts = append(parts, part{line[:n], true})
			line = line[n:]
		}
		parts = append(parts, part{line, false})
	}
	return parts
}

// lastRune is where the last character of s begins, or len(s).
func lastRune(s string) int {
	for i := len(s) - 1; i > len(s)-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return len(s)
}

func TestCut(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("x", MaxLine)
	tests := []struct {
		name   string
		chunks []string
		want   []part
	}{
		{"nothing", nil, nil},
		{"lines", []string{"a\nb\n"}, []part{{"a", false}, {"b", false}}},
		{"empty lines", []string{"\n\n"}, []part{{"", false}, {"", false}}},
		{"unfinished", []string{"a\nb"}, []part{{"a", false}, {"b", false}}},
		{"over chunks", []string{"a", "b", "\nc", "\n"}, []part{{"ab", false}, {"c", false}}},
		{"carriage return", []string{"a\r\n"}, []part{{"a\r", false}}},
		{"just not too long", []string{full, "\n"}, []part{{full, false}}},
		{"just not too long, unfinished", []string{full}, []part{{full, false}}},
		{"too long", []string{full, "y\n"}, []part{{full, true}, {"y", false}}},
		{"much too long", []string{full + full + full[:9]}, []part{{full, true}, {full, true}, {full[:9], false}}},
		{"character at the cut", []string{full[1:] + "ü\n"}, []part{{full[1:], true}, {"ü", false}}},
		{"long character at the cut", []string{full[3:] + "😀", "\n"}, []part{{full[3:], true}, {"😀", false}}},
		{"character before the cut", []string{full[2:] + "üz\n"}, []part{{full[2:] + "ü", true}, {"z", false}}},
		{"binary at the cut", []string{full[4:] + "\x80\x80\x80\x80z\n"}, []part{{full[4:] + "\x80\x80\x80\x80", true}, {"z", false}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, cutAll(tt.chunks...)); diff != "" {
				t.Errorf("(-want +got):\n%.2000s", diff)
			}
		})
	}
}

// genStream draws streams with short, empty and overlong lines, of text and of bytes that are none.
func genStream(t *rapid.T) string {
	piece := rapid.OneOf(
		rapid.StringMatching(`[a-z ]{0,30}\n`),
		rapid.SampledFrom([]string{"\n", "\r\n", "ü", "😀", "\xff", "\x80\x80", "\"\\\x00\x1b"}),
		rapid.Map(rapid.IntRange(MaxLine-5, 2*MaxLine+5), func(n int) string { return strings.Repeat("x", n) }),
	)
	return strings.Join(rapid.SliceOfN(piece, 0, 20).Draw(t, "stream"), "")
}

// genChunks cuts s anywhere.
func genChunks(t *rapid.T, s string) (chunks []string) {
	size := rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(1, chunkSize))
	for len(s) > 0 {
		n := len(s)
		if len(chunks) < 50 {
			n = min(size.Draw(t, "size"), n)
		}
		chunks = append(chunks, s[:n])
		s = s[n:]
	}
	return chunks
}

func TestAnyChunkingGivesTheSameLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stream := genStream(t)
		want := cutSimply(stream)
		if got := cutAll(genChunks(t, stream)...); !cmp.Equal(want, got) {
			t.Fatalf("%d parts instead of %d", len(got), len(want))
		}
	})
}
