package envfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/envfile"
)

func environment(name string) (string, bool) {
	value, ok := map[string]string{"HOME": "/home/me", "A": "from the environment"}[name]
	return value, ok
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       map[string]string
	}{
		{"nothing", "", map[string]string{}},
		{"blank lines and comments", "\n  \n# A=1\n\t# B=2\n", map[string]string{}},
		{"plain", "A=1\nB=two words\nC=", map[string]string{"A": "1", "B": "two words", "C": ""}},
		{"blanks around", "  A =  1  \n", map[string]string{"A": "1"}},
		{"export", "export A=1\nexport\tB=2\nexported=3\nexport=4", map[string]string{"A": "1", "B": "2", "exported": "3", "export": "4"}},
		{"comment behind", "A=1 # one\nB=a#b\nC=#\nD=\"x\" # y\nE='z'#w", map[string]string{"A": "1", "B": "a#b", "C": "", "D": "x", "E": "z"}},
		{"equals sign in a value", "A=b=c==", map[string]string{"A": "b=c=="}},
		{"names", "a.b-c_1=x", map[string]string{"a.b-c_1": "x"}},
		{"Windows", "\ufeffA=1\r\nB=\"x\r\ny\"\r\n", map[string]string{"A": "1", "B": "x\ny"}},
		{"the last one counts", "A=1\nA=2", map[string]string{"A": "2"}},
		{"double quotes", `A="  x # y  "`, map[string]string{"A": "  x # y  "}},
		{"escapes", `A="1\n2\t3\r\"\\\$\x"`, map[string]string{"A": "1\n2\t3\r\"\\$\\x"}},
		{"no escapes outside of quotes", `A=C:\new\dir`, map[string]string{"A": `C:\new\dir`}},
		{"escaped dollar outside of quotes", `A=\${A}`, map[string]string{"A": "${A}"}},
		{"single quotes", `A='${HOME} \n "x"'`, map[string]string{"A": `${HOME} \n "x"`}},
		{"many lines", "A=\"-----BEGIN\nabc\n-----END\"\nB='x\ny'\nC=3", map[string]string{"A": "-----BEGIN\nabc\n-----END", "B": "x\ny", "C": "3"}},
		{"expansion", "A=1\nB=${A}2\nC=\"${B}3\"\nD=${HOME}/x${NONE}", map[string]string{"A": "1", "B": "12", "C": "123", "D": "/home/me/x"}},
		{"the environment answers until a line does", "B=${A}\nA=1\nC=${A}", map[string]string{"A": "1", "B": "from the environment", "C": "1"}},
		{"default", "A=${NONE:-x}\nB=\nC=${B:-y}\nD=${HOME:-z}\nE=${NONE:-}", map[string]string{"A": "x", "B": "", "C": "y", "D": "/home/me", "E": ""}},
		{"dollar signs that stay", `A=pa$$w0rd$` + "\nB=$HOME\nC=\"a$\"", map[string]string{"A": "pa$$w0rd$", "B": "$HOME", "C": "a$"}},
		{"a value is not expanded twice", "A='${HOME}'\nB=${A}", map[string]string{"A": "${HOME}", "B": "${HOME}"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := envfile.Parse(".env", test.text, environment)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, message, hint string }{
		{"no equals sign", "A=1\nB\n", ".env:2: there is no = after the name", "NAME=value"},
		{"export alone", "export A", ".env:1: there is no =", "NAME=value"},
		{"no name", "=1", `.env:1: "" is not the name of a variable`, "NAME=value"},
		{"bad name", "\n\n1A=1", `.env:3: "1A" is not the name of a variable`, "NAME=value"},
		{"two words", "A B=1", `.env:1: "A B" is not the name of a variable`, "NAME=value"},
		{"open double quote", "A=1\nB=\"x\ny\n", `.env:2: the quote " is not closed`, "close it"},
		{"open single quote", "A='x", `.env:1: the quote ' is not closed`, "close it"},
		{"quote ended by an escape", `A="x\"`, `.env:1: the quote " is not closed`, "close it"},
		{"text behind the quote", "A=\"x\ny\"z", `.env:2: something follows the closing quote`, `\"`},
		{"open brace", "A=${B", ".env:1: the brace after $ is not closed", "${NAME}"},
		{"open brace in quotes", "\nA=\"x\n${B\"", ".env:2: the brace after $ is not closed", "${NAME}"},
		{"no name in the brace", "A=${}", ".env:1: ${} names no variable", "${NAME}"},
		{"unknown operator", "A=${B:?x}", ".env:1: ${B:?x} names no variable", "${NAME}"},
		{"NUL", "A=\x00", ".env:1: the line holds a NUL", ""},
		{"NUL in a long value", "A=\"x\n\x00\"", ".env:1: the value holds a NUL", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := envfile.Parse(".env", test.text, nil)
			var e *envfile.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if !strings.HasPrefix(e.Error(), test.message) || !strings.Contains(e.Hint, test.hint) {
				t.Errorf("got %q, hint %q", e, e.Hint)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"A=1\nB=${A}", "export A='x\ny'", "A=\"\\\"${B:-c}\" # d", "A=\\${", "\ufeffA=$"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, err := envfile.Parse("f", text, environment)
		var e *envfile.Error
		if err != nil && (!errors.As(err, &e) || e.Line < 1 || e.Line > strings.Count(text, "\n")+1) {
			t.Errorf("%q: error %v", text, err)
		}
		for name, value := range values {
			if name == "" || strings.ContainsAny(name, "=\n\x00") || strings.ContainsRune(value, 0) {
				t.Errorf("%q: variable %q=%q", text, name, value)
			}
		}
	})
}

// FuzzQuoted writes any value down in single or double quotes and reads it back.
func FuzzQuoted(f *testing.F) {
	f.Add("x")
	f.Add("a\n\"b\"$c\\${d}'")
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsRune(value, 0) || strings.Contains(value, "\r\n") {
			return
		}
		escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`).Replace(value)
		got, err := envfile.Parse("f", `A="`+escaped+`"`, nil)
		if err != nil || got["A"] != value {
			t.Errorf("%q came back as %q, %v", value, got["A"], err)
		}
		if strings.Contains(value, "'") {
			return
		}
		got, err = envfile.Parse("f", `A='`+value+`'`, nil)
		if err != nil || got["A"] != value {
			t.Errorf("%q in single quotes came back as %q, %v", value, got["A"], err)
		}
	})
}
