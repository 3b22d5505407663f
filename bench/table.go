package main

import (
	"fmt"
	"slices"
	"strings"
)

// table compares contenders, one per row. The figures of the first row are what the others are measured by.
type table struct {
	title   string
	columns []column
	rows    []*row
}

// column is a measure.
type column struct {
	name   string
	format string // of one figure
}

// row is a contender with the figures of all rounds, by column.
type row struct {
	name    string
	figures [][]float64
}

// newTable returns a table without figures.
func newTable(title string, columns []column, contenders ...string) table {
	t := table{title: title, columns: columns}
	for _, name := range contenders {
		t.rows = append(t.rows, &row{name: name, figures: make([][]float64, len(columns))})
	}
	return t
}

// add takes the figures of one round of a contender, one per column.
func (r *row) add(figures ...float64) {
	for i, f := range figures {
		r.figures[i] = append(r.figures[i], f)
	}
}

// markdown renders medians, each with its ratio to the first row's.
func (t table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |", t.title)
	for _, c := range t.columns {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	fmt.Fprintf(&b, "\n|---|%s\n", strings.Repeat("---|", len(t.columns)))
	for i, r := range t.rows {
		fmt.Fprintf(&b, "| %s |", r.name)
		for j, c := range t.columns {
			fmt.Fprintf(&b, " %s |", cell(c.format, median(r.figures[j]), median(t.rows[0].figures[j]), i > 0))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func cell(format string, figure, base float64, compare bool) string {
	text := fmt.Sprintf(format, figure)
	if compare && base > 0 {
		text += fmt.Sprintf(" (%.2f×)", figure/base)
	}
	return text
}

// median is 0 without figures.
func median(figures []float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(figures))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}
