package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// none is the figure of a contender that a column does not apply to.
var none = math.NaN()

// table compares contenders, one per row. In each column the first figure is what those below are measured by.
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

// report is a table of words.
type report struct {
	header []string
	lines  [][]string
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(r.header, " | "), strings.Repeat("---|", len(r.header)))
	for _, line := range r.lines {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(line, " | "))
	}
	return b.String()
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

// markdown renders medians, each with its ratio to the first row's. A contender without figures is left out.
func (t table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |", t.title)
	for _, c := range t.columns {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	fmt.Fprintf(&b, "\n|---|%s\n", strings.Repeat("---|", len(t.columns)))
	base := make([]float64, len(t.columns))
	for _, r := range t.rows {
		if len(r.figures[0]) == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s |", r.name)
		for i, c := range t.columns {
			fmt.Fprintf(&b, " %s |", cell(c.format, median(r.figures[i]), &base[i]))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// cell renders a figure with its ratio to base. The first figure of a column becomes the base.
func cell(format string, figure float64, base *float64) string {
	switch {
	case math.IsNaN(figure):
		return "–"
	case *base == 0:
		*base = figure
		return fmt.Sprintf(format, figure)
	}
	return fmt.Sprintf(format+" (%.2f×)", figure, figure / *base)
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
