package cli_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/cli"
)

// update writes the generated documents anew: go test ./internal/cli -run TestDocs -update
var update = flag.Bool("update", false, "write the generated documents")

// TestDocs keeps the documents that are made of flags and fields as these are.
func TestDocs(t *testing.T) {
	t.Parallel()
	schema, err := cli.SchemaJSON()
	if err != nil {
		t.Fatal(err)
	}
	file := "../../docs/reference/app-file.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	control := "../../docs/reference/control.md"
	controlText, err := os.ReadFile(control)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{
		"../../docs/reference/muster.schema.json": schema,
		"../../docs/reference/cli.md":             []byte(cli.CommandsMarkdown()),
		control:                                   between(t, controlText, cli.ExitsMarkdown()),
		file:                                      between(t, text, cli.KeysMarkdown()),
	} {
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not current; run go test ./internal/cli -run TestDocs -update\n%s", name, diff)
		}
	}
}

// between puts a table into the place of the one in text.
func between(t *testing.T, text []byte, table string) []byte {
	t.Helper()
	begin, end := bytes.Index(text, []byte("<!-- keys")), bytes.Index(text, []byte("<!-- end -->"))
	if begin < 0 || end < begin {
		t.Fatal("there is no place for the table")
	}
	begin += bytes.IndexByte(text[begin:], '\n') + 1
	return []byte(string(text[:begin]) + table + string(text[end:]))
}

// TestEveryKeyIsDescribed keeps flags, file and API one struct.
func TestEveryKeyIsDescribed(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(cli.KeysMarkdown()) {
		if cells := strings.Split(line, "|"); len(cells) < 6 || strings.TrimSpace(cells[4]) == "" {
			t.Errorf("no description: %s", line)
		}
	}
}
