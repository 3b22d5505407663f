package muster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// Records come out as they went in, however the stream is cut.
func TestSplitAnywhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOf(rapid.StringMatching(`[a-zé"{}]{0,20}`)).Draw(t, "records")
		tail := rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "tail")
		stream := tail
		if len(records) > 0 {
			stream = strings.Join(records, "\n") + "\n" + tail
		}
		c := &channel{}
		var got []string
		for stream != "" {
			n := rapid.IntRange(1, len(stream)).Draw(t, "read")
			c.split([]byte(stream[:n]), func(r []byte, _ func() int) { got = append(got, string(r)) })
			stream = stream[n:]
		}
		if diff := cmp.Diff(records, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		if string(c.buf) != tail {
			t.Fatalf("kept %q of %q", c.buf, tail)
		}
	})
}
