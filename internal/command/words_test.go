package command

import (
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestScan(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text            string
		words           []string
		assignments     int
		literal, simple bool
	}{
		{"", []string{}, 0, true, true},
		{"node server.js", []string{"node", "server.js"}, 0, true, true},
		{"  A=1 B='x y' node\t-x ", []string{"A=1", "B=x y", "node", "-x"}, 2, true, true},
		{`"A"=1 node`, []string{"A=1", "node"}, 0, true, true},
		{"node A=1", []string{"node", "A=1"}, 0, true, true},
		{`a "b \"c\" \n \\" 'd"' e\ f ''`, []string{"a", `b "c" \n \`, `d"`, "e f", ""}, 0, true, true},
		{"a # comment; x", []string{"a"}, 0, true, true},
		{"a b#c", []string{"a", "b#c"}, 0, true, true},
		{`node -e {"a":1} x{}`, []string{"node", "-e", "{a:1}", "x{}"}, 0, true, true},
		{"a;", []string{"a"}, 0, true, true},
		{"a $B", []string{"a", "$B"}, 0, false, true},
		{`a "$B"`, []string{"a", "$B"}, 0, false, true},
		{"a '$B'", []string{"a", "$B"}, 0, true, true},
		{"a *.js ~/x", []string{"a", "*.js", "~/x"}, 0, false, true},
		{"a > x 2>&1", []string{"a", ">", "x", "2>&1"}, 0, false, true},
		{"a && b", []string{"a"}, 0, true, false},
		{"a | b", []string{"a"}, 0, true, false},
		{"a & b", []string{"a"}, 0, true, false},
		{"a; b", []string{"a"}, 0, true, false},
		{"a\nb", []string{"a"}, 0, true, false},
		{"(a)", []string{}, 0, true, false},
		{"a <<E", []string{"a", "<"}, 0, false, false},
		{"if a", []string{"if", "a"}, 0, true, false},
		{"'if' a", []string{"if", "a"}, 0, true, true},
		{"! a", []string{"!", "a"}, 0, true, false},
		{"a 'b", []string{"a", ""}, 0, true, false},
		{`a "b`, []string{"a", "b"}, 0, true, false},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			got := scan(test.text)
			if diff := cmp.Diff(test.words, texts(got.words)); diff != "" {
				t.Error(diff)
			}
			if len(got.assignments()) != test.assignments || got.literal != test.literal || got.simple != test.simple {
				t.Errorf("%d assignments, literal %v, simple %v", len(got.assignments()), got.literal, got.simple)
			}
		})
	}
}

// TestScanAgreesWithTheShell compares with what sh makes of lines that scan calls simple and literal.
func TestScanAgreesWithTheShell(t *testing.T) {
	t.Parallel()
	pieces := []string{"a", "b", " ", "'", `"`, `\`, "#", "=", ".", "{", "}", "%", "-", "é", "\t", ";"}
	random := rand.New(rand.NewPCG(1, 2))
	var script, want strings.Builder
	for range 5000 {
		text := "printf '%s|' x"
		for range random.IntN(12) {
			text += pieces[random.IntN(len(pieces))]
		}
		if l := scan(text); l.simple && l.literal {
			script.WriteString(text + "\necho\n")
			want.WriteString(strings.Join(texts(l.words)[2:], "|") + "|\n")
		}
	}
	sh := exec.Command("sh")
	sh.Stdin = strings.NewReader(script.String())
	out, err := sh.Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(out)); diff != "" {
		t.Error(diff)
	}
}

func TestQuoteReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.SliceOf(rapid.String()).Draw(t, "args")
		var b strings.Builder
		for _, a := range args {
			b.WriteString(" " + quote(a))
		}
		l := scan(b.String())
		if diff := cmp.Diff(args, texts(l.words)); diff != "" || !l.simple || !l.literal {
			t.Errorf("%q: %s", b.String(), diff)
		}
	})
}
