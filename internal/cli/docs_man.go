package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// manPage is the manual page of a command, in the man macros of roff.
func manPage(name string, cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"muster\" \"User commands\"\n", strings.ToUpper(name))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(strings.TrimSuffix(cmd.Short, ".")))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(useLine(cmd)))
	b.WriteString(".SH DESCRIPTION\n")
	for i, paragraph := range strings.Split(described(cmd), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		b.WriteString(roff(paragraph) + "\n")
	}
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(&b, ".PP\nAlso: %s.\n", roff(strings.Join(cmd.Aliases, ", ")))
	}
	if options := optionsOf(cmd); len(options) > 0 {
		b.WriteString(".SH OPTIONS\n")
		for _, o := range options {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(o.names+" "+o.takes)), roff(o.usage+iff(o.otherwise != "", " (default "+o.otherwise+")", "")))
		}
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(undented(cmd.Example)))
	}
	manExits(&b, cmd)
	manRelated(&b, cmd)
	return b.String()
}

// manExits is the table of exit codes, on the page of muster itself.
func manExits(b *strings.Builder, cmd *cobra.Command) {
	if cmd.HasParent() {
		return
	}
	b.WriteString(".SH EXIT STATUS\n")
	for _, e := range exitMeanings {
		fmt.Fprintf(b, ".TP\n.B %d\n%s\n", e.code, roff(e.means))
	}
}

func manRelated(b *strings.Builder, cmd *cobra.Command) {
	var related []string
	if cmd.HasParent() {
		related = append(related, strings.ReplaceAll(cmd.Parent().CommandPath(), " ", "-"))
	}
	for _, below := range documented(cmd)[1:] {
		related = append(related, strings.ReplaceAll(below.CommandPath(), " ", "-"))
	}
	for i, name := range related {
		if i == 0 {
			b.WriteString(".SH SEE ALSO\n")
		}
		fmt.Fprintf(b, ".BR %s (1)%s\n", roff(name), iff(i < len(related)-1, " ,", ""))
	}
}

// roff is a text in which nothing means anything to roff.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
