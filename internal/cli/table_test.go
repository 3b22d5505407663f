package cli

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestRowsFitTheTerminal(t *testing.T) {
	t.Parallel()
	rows := func() [][]string {
		return [][]string{
			{"ID", "NAME", "STATE", "WORKERS", "CPU", "MEMORY", "RESPAWNS", "UP", "LISTEN"},
			{"12", "a-service-with-a-long-name-of-its-own", "crash-looping", "16/16", "100.0%", "45.2M", "12345", "3m20s", "127.0.0.1:3000 unix:/run/some/where/x.sock"},
		}
	}
	for _, width := range []int{200, 120, 90, 80, 0} {
		got := rows()
		cutRows(got, width)
		widths := make([]int, len(got[0]))
		for _, row := range got {
			for i, cell := range row {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
		total := gap * (len(widths) - 1)
		for _, w := range widths {
			total += w
		}
		if width > 0 && total > width {
			t.Errorf("%d columns in %d:\n%s", total, width, strings.Join(got[1], "  "))
		}
		if width == 0 || width == 200 {
			if diff := cmp.Diff(rows(), got); diff != "" {
				t.Error(diff)
			}
		}
	}
	if got := cut("a-service", 5); got != "a-se…" {
		t.Error(got)
	}
}

func TestSizesAreRead(t *testing.T) {
	t.Parallel()
	var got []string
	for _, n := range []int64{0, 812 << 10, 1000 << 10, 47395635, 300 << 20, 1536 << 20, 5 << 40} {
		got = append(got, sizeText(n))
	}
	if want := "[0K 812K 1.0M 45.2M 300M 1.5G 5.0T]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestOrders(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"id", "name:desc", "memory:asc", "uptime", "status", "restarts:desc", "cpu"} {
		if _, err := orderBy(text); err != nil {
			t.Error(err)
		}
	}
	for _, text := range []string{"", "size", "name:up"} {
		if _, err := orderBy(text); err == nil {
			t.Errorf("%q is an order", text)
		}
	}
}
