package command_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/command"
)

func TestWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want []string // of Line
		err  string   // of Words
	}{
		{`node server.js`, []string{"node", "server.js"}, ""},
		{"  node\t'a b' \"c d\"e f\\ g ''  ", []string{"node", "a b", "c de", "f g", ""}, ""},
		{`node x # the server`, []string{"node", "x"}, ""},
		{`exec node x`, []string{"node", "x"}, ""},
		{`A=1 B='x y' node x C=2`, []string{"env", "A=1", "B=x y", "node", "x", "C=2"}, ""},
		{`node --port {port} a@b,c:d+e%f`, []string{"node", "--port", "{port}", "a@b,c:d+e%f"}, ""},
		{`node '$HOME' "a*b" '~'`, []string{"node", "$HOME", "a*b", "~"}, ""},
		{`node $PORT`, []string{"sh", "-c", "exec node $PORT"}, "$ means something to a shell"},
		{`node "$PORT"`, []string{"sh", "-c", `exec node "$PORT"`}, "$ means something to a shell"},
		{`A=1 node $PORT`, []string{"sh", "-c", "A=1 exec node $PORT"}, "$ means something to a shell"},
		{`node > x`, []string{"sh", "-c", "exec node > x"}, "> means something to a shell"},
		{`node ~/x`, []string{"sh", "-c", "exec node ~/x"}, "~ means something to a shell"},
		{`cd $X`, []string{"sh", "-c", "cd $X"}, "$ means something to a shell"},
		{`a && b`, []string{"sh", "-c", "a && b"}, "is more than one program"},
		{`a | b`, []string{"sh", "-c", "a | b"}, "is more than one program"},
		{"a\nb", []string{"sh", "-c", "a\nb"}, "is more than one program"},
		{`if a; then b; fi`, []string{"sh", "-c", "if a; then b; fi"}, "is more than one program"},
		{`node 'x`, nil, "a quote is not closed"},
		{`node "x`, nil, "a quote is not closed"},
		{`node \`, nil, "a quote is not closed"},
		{`A=1`, nil, "names no program"},
		{` `, nil, "names no program"},
	}
	for _, test := range tests {
		words, err := command.Words(test.text)
		switch {
		case test.err == "" && err != nil, test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%q: %v", test.text, err)
		case test.err == "":
			if diff := cmp.Diff(test.want, words); diff != "" {
				t.Errorf("%q: %s", test.text, diff)
			}
		}
		line, err := command.Line(test.text)
		if diff := cmp.Diff(test.want, line); diff != "" || (err == nil) != (test.want != nil) {
			t.Errorf("line %q: %v, %s", test.text, err, diff)
		}
	}
}
