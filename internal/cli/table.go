package cli

import (
	"os"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"golang.org/x/term"
)

// newTable aligns columns that are separated by tabs.
func newTable(stdout *os.File) *tabwriter.Writer { return tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0) }

// printRows prints rows of columns, no wider than the terminal: then the last column is cut, and the second, which names what the row is about.
// In a pipe nothing is cut.
func printRows(stdout *os.File, rows [][]string) error {
	cutRows(rows, widthOf(stdout))
	t := newTable(stdout)
	for _, row := range rows {
		if _, err := t.Write([]byte(strings.Join(row, "\t") + "\n")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// widthOf is the number of columns of a terminal; zero of anything else.
func widthOf(f *os.File) int {
	if !isTerminal(f) {
		return 0
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return 0
	}
	width := 0
	_ = raw.Control(func(fd uintptr) { width, _, _ = term.GetSize(int(fd)) })
	return width
}

// Widths below which the columns are not cut.
const (
	leastName = 10
	leastLast = 7
	gap       = 2 // between columns
)

// cutRows cuts the last column, and then the second, so that no row is wider than width.
func cutRows(rows [][]string, width int) {
	if width == 0 || len(rows) == 0 {
		return
	}
	widths, last := make([]int, len(rows[0])), len(rows[0])-1
	total := gap * last
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		total += widths[i]
	}
	for _, column := range []struct{ i, least int }{{last, leastLast}, {1, leastName}} {
		room := max(column.least, widths[column.i]-max(0, total-width))
		if room >= widths[column.i] {
			continue
		}
		total -= widths[column.i] - room
		for _, row := range rows {
			row[column.i] = cut(row[column.i], room)
		}
	}
}

// cut is a text of so many signs at most.
func cut(text string, room int) string {
	if utf8.RuneCountInString(text) <= room {
		return text
	}
	return string([]rune(text)[:room-1]) + "…"
}
