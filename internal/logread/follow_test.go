package logread

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterd/muster/internal/logs"
)

// TestPutAsideIsRecognised: an archive may be compressed between the moment that it was listed and the one that it is looked at.
func TestPutAsideIsRecognised(t *testing.T) {
	t.Parallel()
	const text = "line 1\nline 2\n"
	for name, tt := range map[string]struct {
		plain, packed string // what is at the archive's path, and compressed beside it
		moved, mine   bool
	}{
		"as it was":             {moved: true, mine: true},
		"compressed meanwhile":  {packed: text, mine: true},
		"being compressed":      {moved: true, packed: text[:7], mine: true},
		"removed meanwhile":     {mine: true},
		"another":               {plain: text, mine: false},
		"another, compressed":   {packed: "line 3\n", mine: false},
		"a longer, compressed":  {packed: text + "line 3\n", mine: false},
		"a shorter, compressed": {packed: text[:7], mine: false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "out.log")
			write(t, path, text)
			f, err := openFile(path, Source{})
			if err != nil {
				t.Fatal(err)
			}
			defer closeFile(f.f)
			archive := logs.Archive{Path: path + ".20260102T150405.000000Z", Closed: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)}
			aside := path + ".elsewhere"
			if tt.moved {
				aside = archive.Path
			}
			if err := os.Rename(path, aside); err != nil {
				t.Fatal(err)
			}
			if tt.plain != "" {
				write(t, archive.Path, tt.plain)
			}
			if tt.packed != "" {
				pack(t, archive.Path+".gz", tt.packed)
			}
			if between, mine := f.since([]logs.Archive{archive}); mine != tt.mine || len(between) > 0 == tt.mine {
				t.Errorf("mine %v, %d between; want %v", mine, len(between), tt.mine)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func pack(t *testing.T, path, text string) {
	t.Helper()
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := gzip.NewWriter(out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
