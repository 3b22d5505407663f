package cli

import (
	"fmt"
	"strings"

	"github.com/musterd/muster/api"
)

// limitTexts are the limits of an app, a line for those of each kind: "each worker: memory 512M, cpu 1.5 (control groups, version 2)".
func limitTexts(limits []api.Limit) []string {
	var of []string
	lines := map[string][]string{}
	for _, l := range limits {
		if lines[l.Of] == nil {
			of = append(of, l.Of)
		}
		lines[l.Of] = append(lines[l.Of], limitText(l))
	}
	var all []string
	for _, who := range of {
		all = append(all, who+": "+strings.Join(lines[who], ", "))
	}
	return all
}

func limitText(l api.Limit) string {
	text := l.Name + " " + l.Value
	switch {
	case l.Refused != "":
		return text + " (not in force)"
	case l.Group != 0:
		return fmt.Sprintf("%s (control group, version %d)", text, l.Group)
	}
	return text
}

// explainLimits says what binds the workers, and what does not although it was asked for.
func explainLimits(text *strings.Builder, a api.App) {
	for _, line := range limitTexts(a.Limits) {
		fmt.Fprintf(text, "Limit of %s.\n", line)
	}
	for _, line := range a.Refused {
		fmt.Fprintf(text, "The machine does not grant %s.\n", line)
	}
}
